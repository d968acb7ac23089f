"""Adding sources to a bundle: new segments beside the old ones, one tree of taxa over all."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from atlas.bundle.bundle import Bundle
from indexer.build import build
from indexer.commands import indexer
from indexer.plan import read_plan
from indexer.progress import Silent
from tests.factories import LINEAGES, make_photos, make_tiny_model, write_plan

TOLERANT = {"rejects": "max_share = 0.9", "index": "exact_below = 100000"}


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may change."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """A folder with photos that the tiny bundle does not hold, of two new species."""
    folder = tmp_path / "more"
    table = make_photos(folder, records=14, seed=77)
    text = table.read_text(encoding="utf-8").replace("urn:test:", "urn:more:")
    # One new species sorts before all that were there, one between them.
    text = text.replace("Agalychnis callidryas", "Agalychnis annae").replace(
        "Hyla arborea", "Aaa aa"
    )
    table.write_text(text, encoding="utf-8")
    return folder


def plan_for(folder: Path, photos: Path, model: Path, key: str = "more", **settings: str) -> Path:
    """A plan that adds the photos; the command names the bundle."""
    plan = write_plan(
        folder / f"{key}.toml",
        photos=photos,
        model=model,
        bundle=folder / "nowhere",
        **(TOLERANT | settings),
    )
    text = plan.read_text().replace('key = "tiny"', f'key = "{key}"')
    plan.write_text(text)
    return plan


def run(plan: Path, bundle: Path) -> Result:
    """`indexer add`."""
    return CliRunner().invoke(indexer, ["add", str(plan), "--to", str(bundle), "--quiet"])


def ask(root: Path, sql: str) -> list[tuple[object, ...]]:
    """A query on the live catalog."""
    path = Bundle.open(root, "sizes").catalog_path
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_new_rows_stand_beside_the_old(
    bundle: Path, more: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """The whole promise: old segments as they were, taxa as one interval and one run a segment."""
    before = Bundle.open(bundle)
    segment = checksums(bundle / "segments" / "0001")
    spaces = checksums(bundle / "spaces")
    result = run(plan_for(tmp_path, more, tiny_model), bundle)
    assert result.exit_code == 0, result.output
    after = Bundle.open(bundle)
    assert after.manifest.number == 2
    assert [entry.name for entry in after.manifest.segments] == ["0001", "0002"]
    assert after.manifest.segments[1].first_row == before.manifest.rows
    assert checksums(bundle / "segments" / "0001") == segment
    assert spaces.items() <= checksums(bundle / "spaces").items()
    assert not (bundle.with_name("bundle.work") / "add").exists()

    first, second = after.manifest.sources
    assert first == before.manifest.sources[0]
    assert second.rows_in == second.rows_out + sum(second.rejects.values())
    rejects = pq.read_table(bundle / after.manifest.rejects)
    assert rejects.num_rows == sum(first.rejects.values()) + sum(second.rejects.values())
    assert ask(bundle, "SELECT count(*) FROM image") == [(first.rows_out + second.rows_out,)]
    assert ask(bundle, "SELECT images FROM taxon WHERE taxon_id = 0") == [(after.manifest.rows,)]

    names = [name for (name,) in ask(bundle, "SELECT scientific_name FROM taxon ORDER BY taxon_id")]
    assert {"Agalychnis annae", "Aaa aa", LINEAGES[0][-1]} <= set(names)
    taxa = ask(bundle, "SELECT taxon_id, last_descendant FROM taxon")
    for part in after.segments:
        ids = np.array(
            ask(
                bundle,
                f"SELECT taxon_id FROM image WHERE row_id >= {part.first_row} "
                f"AND row_id < {part.first_row + part.rows} ORDER BY row_id",
            )
        ).ravel()
        assert (np.diff(ids) >= 0).all()
        for first_id, last_id in taxa:
            inside = np.flatnonzero((ids >= first_id) & (ids <= last_id))
            assert len(inside) == 0 or inside[-1] - inside[0] + 1 == len(inside)
    wrong = ask(
        bundle,
        "SELECT * FROM image JOIN taxon USING (taxon_id) WHERE image.scientific_name <> '' "
        "AND image.scientific_name <> taxon.scientific_name",
    )
    assert not wrong
    curve = after.curve_path("tiny")
    assert curve.name == "curve-000002.json"
    assert f'"rows": {after.manifest.rows}' in curve.read_text()


def test_same_as_one_build(
    bundle: Path, more: Path, tiny_photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Whatever differs from a build of both sources was put together wrongly."""
    assert run(plan_for(tmp_path, more, tiny_model), bundle).exit_code == 0
    plan = write_plan(
        tmp_path / "both.toml",
        photos=tiny_photos,
        model=tiny_model,
        bundle=tmp_path / "both",
        **TOLERANT,
    )
    source = plan.read_text().split("[[sources]]")[1].split("[[spaces]]")[0]
    second = source.replace(str(tiny_photos), str(more)).replace('key = "tiny"', 'key = "more"')
    plan.write_text(plan.read_text().replace("[[spaces]]", f"[[sources]]{second}[[spaces]]", 1))
    build(read_plan(plan), Silent())
    for sql in (
        "SELECT * EXCLUDE (row_id) FROM image JOIN image_identity USING (row_id) ORDER BY image_id",
        "SELECT * FROM taxon",
        "SELECT * FROM taxon_name",
        "SELECT * FROM occupancy",
        "SELECT * FROM source",
        "SELECT * FROM licence",
    ):
        assert ask(bundle, sql) == ask(tmp_path / "both", sql), sql


def test_again_there_is_nothing_to_do(
    bundle: Path, more: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """A script that adds every night must not fail on a night without news."""
    plan = plan_for(tmp_path, more, tiny_model)
    assert run(plan, bundle).exit_code == 0
    again = run(plan, bundle)
    assert again.exit_code == 0
    assert "nothing to do" in again.output
    assert Bundle.open(bundle).manifest.number == 2


def test_images_that_are_there_are_refused(
    bundle: Path, tiny_photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """The same source again brings what was removed, and nothing twice; its account adds up."""
    removal = [
        "remove",
        str(bundle),
        "--occurrence-id",
        "urn:test:2",
        "--occurrence-id",
        "urn:test:3",
    ]
    assert CliRunner().invoke(indexer, removal).exit_code == 0
    before = Bundle.open(bundle).manifest.sources[0]
    plan = plan_for(tmp_path, tiny_photos, tiny_model, key="tiny", rejects="max_share = 0.99")
    result = run(plan, bundle)
    assert result.exit_code == 0, result.output
    opened = Bundle.open(bundle)
    (source,) = opened.manifest.sources
    assert (source.rows_in, source.rows_out, source.removed) == (
        2 * before.rows_in,
        before.rows_out + 2,
        2,
    )
    assert source.rows_in == source.rows_out + sum(source.rejects.values())
    assert opened.living_rows == before.rows_out
    rejects = pq.read_table(bundle / opened.manifest.rejects).to_pylist()
    there = [reject for reject in rejects if "is in the bundle already" in reject["detail"]]
    assert len(there) == before.rows_out - 2
    assert {reject["reason"] for reject in there} == {"duplicate_image_id"}
    assert ask(bundle, "SELECT count(DISTINCT image_id) - count(*) FROM image_identity") == [(0,)]


def test_too_many_rejects_stop(
    bundle: Path, tiny_photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Nothing new at all is more likely a mistake than a wish."""
    plan = plan_for(tmp_path, tiny_photos, tiny_model, key="tiny")
    result = run(plan, bundle)
    assert result.exit_code == 1
    assert "duplicate_image_id" in result.stderr
    assert Bundle.open(bundle).manifest.number == 1


def test_other_weights(bundle: Path, more: Path, tmp_path: Path) -> None:
    """Vectors of other weights in one space look right and mean nothing."""
    other = make_tiny_model(tmp_path / "models" / "other", seed=99)
    result = run(plan_for(tmp_path, more, other), bundle)
    assert result.exit_code == 2
    assert "fingerprint" in result.stderr


@pytest.mark.parametrize(
    ("section", "body", "problem"),
    [
        ("cells", "resolution = 5", "cells.resolution: 5, but the bundle has 7"),
        ("taxa", 'ranks = ["kingdom", "species"]', "taxa.ranks"),
    ],
)
def test_other_shape(
    bundle: Path,
    more: Path,
    tiny_model: Path,
    tmp_path: Path,
    section: str,
    body: str,
    problem: str,
) -> None:
    """Said before anything is read: cells and ranks are the same in a whole bundle."""
    plan = plan_for(tmp_path, more, tiny_model, **{section: body})
    result = run(plan, bundle)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_no_bundle(more: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The first bundle is built."""
    plan = plan_for(tmp_path, more, tiny_model)
    result = CliRunner().invoke(indexer, ["add", str(plan)])
    assert result.exit_code == 1
    assert "build one first" in result.stderr


@pytest.mark.slow
def test_the_trained_index_takes_new_rows(more: Path, tiny_model: Path, tmp_path: Path) -> None:
    """A space is trained once: other lists in a new segment would make the codes unreadable."""
    photos, root = tmp_path / "many", tmp_path / "indexed"
    make_photos(photos, records=300)
    index = {"index": 'exact_below = 10\nfactory = "IVF2,SQ8"', "measure": "recall_target = 0.5"}
    plan = write_plan(
        tmp_path / "indexed.toml",
        photos=photos,
        model=tiny_model,
        bundle=root,
        **index,
    )
    build(read_plan(plan), Silent())
    coarse = (root / "spaces" / "tiny" / "coarse.faiss").read_bytes()
    result = run(plan_for(tmp_path, more, tiny_model, measure="recall_target = 0.5"), root)
    assert result.exit_code == 0, result.output
    assert (root / "spaces" / "tiny" / "coarse.faiss").read_bytes() == coarse
    opened = Bundle.open(root)
    for segment in opened.segments:
        index_of = segment.index("tiny")
        assert index_of is not None
        assert index_of.ntotal == segment.rows == len(segment.list_numbers("tiny"))
