"""Removing rows: a new state without them, and old states and segments as they were."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from pyroaring import BitMap

from atlas.bundle.bundle import Bundle
from atlas.bundle.flags import Flag
from atlas.errors import BuildError
from indexer.alone import alone_with
from indexer.build import build
from indexer.commands import indexer
from indexer.plan import read_plan
from indexer.progress import Silent
from indexer.remove import remove
from tests.factories import make_photos, write_plan

GONE = "urn:test:2"


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may change."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def run(*arguments: object, text: str | None = None) -> Result:
    """`indexer remove`."""
    return CliRunner().invoke(indexer, ["remove", *map(str, arguments)], input=text)


def ask(root: Path, sql: str) -> list[tuple[object, ...]]:
    """A query on the live catalog."""
    path = Bundle.open(root, "sizes").catalog_path
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def checksums(root: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_removed_rows_are_in_no_table(bundle: Path) -> None:
    """Whatever a table still counts would show on a map or in a lookup."""
    before = checksums(bundle)
    rows = ask(bundle, "SELECT count(*) FROM image")[0][0]
    result = run(bundle, "--occurrence-id", GONE)
    assert result.exit_code == 0, result.output
    assert "1 removed: occurrence id" in result.output
    assert f"bundle 2, 1 removed, {int(str(rows)) - 1} left" in result.output
    opened = Bundle.open(bundle)
    assert opened.manifest.number == 2
    assert opened.living_rows == opened.manifest.rows - 1
    assert opened.manifest.sources[0].removed == 1
    (row,) = ask(bundle, "SELECT max(row_id) FROM image")
    living = set(range(int(str(row[0])) + 1)) - {*opened.segments[0].tombstones}
    for table in ("image", "image_key"):
        assert {row for (row,) in ask(bundle, f"SELECT row_id FROM {table}")} == living
    assert not ask(bundle, f"SELECT * FROM image WHERE occurrence_id = '{GONE}'")
    assert ask(bundle, "SELECT images FROM taxon WHERE taxon_id = 0") == [(len(living),)]
    placed = ask(bundle, "SELECT row_id FROM image_by_cell EXCEPT SELECT row_id FROM image")
    assert not placed
    # Nothing of the state before has changed: a server that still reads it is not disturbed.
    after = checksums(bundle)
    assert {name: after[name] for name in before if name != "CURRENT"} == {
        name: checksum for name, checksum in before.items() if name != "CURRENT"
    }


def test_removing_twice_keeps_both(bundle: Path) -> None:
    """The second file of tombstones takes the place of the first and must hold its rows."""
    assert run(bundle, "--occurrence-id", "urn:test:2").exit_code == 0
    assert run(bundle, "--occurrence-id", "urn:test:3").exit_code == 0
    opened = Bundle.open(bundle)
    assert len(opened.segments[0].tombstones) == 2
    assert opened.manifest.sources[0].removed == 2
    listed = [entry.path for entry in opened.manifest.files if "tombstones" in entry.path]
    assert listed == ["segments/0001/tombstones-000003.roar"]


def test_taxon_without_photos_is_gone(bundle: Path) -> None:
    """A name that completes to a taxon without one photo leads nowhere."""
    path = bundle.parent / "ids.txt"
    ids = ask(bundle, "SELECT DISTINCT occurrence_id FROM image JOIN taxon USING (taxon_id) "
              "WHERE taxon.scientific_name = 'Anas platyrhynchos'")  # fmt: skip
    path.write_text("\n".join(str(name) for (name,) in ids) + "\n\n")
    result = run(bundle, "--occurrence-ids", path)
    assert result.exit_code == 0, result.output
    names = {name for (name,) in ask(bundle, "SELECT scientific_name FROM taxon")}
    assert not names & {"Anas platyrhynchos", "Anas", "Anatidae", "Anseriformes"}
    assert {"Aves", "Oenanthe deserti"} <= names
    # Numbers have moved up; every image still belongs to the taxon that its record names.
    wrong = ask(
        bundle,
        "SELECT * FROM image JOIN taxon USING (taxon_id) WHERE image.scientific_name <> '' "
        "AND image.scientific_name <> taxon.scientific_name",
    )
    assert not wrong
    intervals = ask(bundle, "SELECT taxon_id FROM image ORDER BY row_id")
    assert intervals == sorted(intervals, key=lambda row: int(str(row[0])))


def test_by_licence(bundle: Path) -> None:
    """Photos under a licence go, records under it stay with their other photos."""
    (count,) = ask(
        bundle,
        "SELECT count(*) FROM image JOIN licence ON licence.licence_id = media_licence_id "
        "WHERE code = 'CC-BY-NC-4.0'",
    )[0]
    assert count
    result = run(bundle, "--licence", "CC-BY-NC-4.0")
    assert f"{count} removed: licence CC-BY-NC-4.0" in result.output
    assert not ask(bundle, "SELECT * FROM licence WHERE code = 'CC-BY-NC-4.0'")


def test_unknown_is_listed_and_stops(bundle: Path) -> None:
    """A misspelt id in a takedown must not pass unseen."""
    arguments = (bundle, "--occurrence-id", GONE, "--occurrence-id", "urn:test:nowhere")
    result = run(*arguments)
    assert result.exit_code == 1
    assert "urn:test:nowhere" in result.stderr
    assert Bundle.open(bundle).manifest.number == 1
    result = run(*arguments, "--ignore-missing")
    assert result.exit_code == 0
    assert Bundle.open(bundle).manifest.number == 2


def test_dry_run_changes_nothing(bundle: Path) -> None:
    """A look before the act."""
    before = checksums(bundle)
    result = run(bundle, "--occurrence-ids", "-", "--dry-run", text=f"{GONE}\n")
    assert "1 would be removed: occurrence id" in result.output
    assert checksums(bundle) == before


def test_nothing_named(bundle: Path) -> None:
    """Bad usage, not a removal of everything."""
    assert run(bundle).exit_code == 2


def test_last_row_stays(bundle: Path) -> None:
    """A bundle without rows is not an atlas; the operator is told what to do instead."""
    ids = [str(name) for (name,) in ask(bundle, "SELECT DISTINCT occurrence_id FROM image")]
    with pytest.raises(BuildError, match="no row would be left"):
        remove(
            bundle,
            occurrence_ids=ids,
            licences=(),
            ignore_missing=False,
            dry_run=False,
            watcher=Silent(),
        )


def test_copy_of_a_removed_picture_comes_forth(tmp_path: Path, tiny_model: Path) -> None:
    """A photo that is held back as the copy of a removed one would be lost from every search."""
    photos, root = tmp_path / "photos", tmp_path / "bundle"
    make_photos(photos, records=12)
    for copy in (6, 10):
        shutil.copy(photos / "photos" / "0004.png", photos / "photos" / f"{copy:04d}.png")
    plan = write_plan(
        tmp_path / "plan.toml",
        photos=photos,
        model=tiny_model,
        bundle=root,
        rejects="max_share = 0.5",
    )
    build(read_plan(plan), Silent())
    held_back = (
        "SELECT occurrence_id FROM image "
        f"WHERE flags & {int(Flag.DUPLICATE_PICTURE)} <> 0 ORDER BY ALL"
    )
    assert ask(root, held_back) == [("urn:test:10",), ("urn:test:6",)]
    assert run(root, "--occurrence-id", "urn:test:4").exit_code == 0
    (still,) = ask(root, held_back)
    assert run(root, "--occurrence-id", still[0]).exit_code == 0
    assert not ask(root, held_back)


def test_one_at_a_time(bundle: Path) -> None:
    """Two programs that decide what is live next would lose the work of one."""
    with alone_with(bundle):
        result = run(bundle, "--occurrence-id", GONE)
    assert result.exit_code == 1
    assert "another program" in result.stderr


def test_leftovers_of_a_killed_removal_are_not_taken(bundle: Path) -> None:
    """A catalog that another removal left without a manifest holds other rows."""
    (bundle / "catalog-000002.duckdb").write_bytes(b"left by a killed removal")
    (bundle / "segments" / "0001" / "tombstones-000002.roar").write_bytes(BitMap([0]).serialize())
    assert run(bundle, "--occurrence-id", GONE).exit_code == 0
    opened = Bundle.open(bundle)
    assert opened.manifest.number == 3
    assert not ask(bundle, f"SELECT * FROM image WHERE occurrence_id = '{GONE}'")
