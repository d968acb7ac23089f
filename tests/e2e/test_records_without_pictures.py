"""An atlas of records alone: built, verified, served, changed; and the same with a real table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from litestar.testing import TestClient

from atlas.app import create_app, open_atlas
from atlas.bundle.bundle import Bundle
from atlas.errors import BundleError, PlanError
from atlas.settings import Settings, override
from indexer.add import add
from indexer.build import build
from indexer.commands import indexer
from indexer.compact import compact
from indexer.plan import read_plan
from indexer.plan_sections import IndexSection, MeasureSection
from indexer.progress import Silent
from indexer.remeasure import measure_bundle
from indexer.remove import remove

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PLAN = """\
[atlas]
title = "Frogs on paper"
[output]
bundle = "bundle"
[[sources]]
kind = "records"
key = "{key}"
title = "Frogs"
path = "{table}"
as_of = 2024-05-01
[rejects]
max_share = 0.5
[workers]
count = 1
"""
HEADER = "occurrenceID,scientificName,class,decimalLatitude,decimalLongitude,eventDate,recordedBy"


def write(folder: Path, key: str, rows: list[str]) -> Path:
    """A plan of a table with these rows."""
    (folder / f"{key}.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    plan = folder / f"{key}.toml"
    plan.write_text(PLAN.format(key=key, table=f"{key}.csv"))
    return plan


def rows(first: int, count: int) -> list[str]:
    """Records of two species along a line."""
    return [
        f"o{at},{('Hyla arborea', 'Rana temporaria')[at % 2]},Amphibia,{50 + at / 100},7.25,"
        f"2023-04-{1 + at % 28:02d},Observer {at % 3}"
        for at in range(first, first + count)
    ]


def ask(bundle: Path, *paths: str) -> list[dict[str, Any]]:
    """The answers of a server of this bundle, each with its status code."""
    app = create_app(open_atlas(override(Settings(), "bundle", path=str(bundle))))
    with TestClient(app, raise_server_exceptions=False) as client:
        answers = [client.get(path) for path in paths]
        return [{**answer.json(), "code": answer.status_code} for answer in answers]


def test_an_atlas_of_records_is_whole(tmp_path: Path) -> None:
    """Would break: maps without pictures cannot be built, served or kept up to date."""
    built = build(read_plan(write(tmp_path, "first", [*rows(0, 40), "ragged,row"])), Silent())
    assert built.manifest.spaces == ()
    assert build(read_plan(tmp_path / "first.toml"), Silent()).was_live
    bundle = tmp_path / "bundle"
    verified = CliRunner().invoke(indexer, ["verify", str(bundle)])
    assert verified.exit_code == 0, verified.output
    about, found, taxa, ready = ask(
        bundle, "/v1/atlas", "/v1/search?text=frog", "/v1/taxa?q=Hyla", "/health/ready"
    )
    assert (about["default_space"], about["spaces"]) == (None, [])
    assert about["counts"]["records"] == 40
    assert about["sources"][0]["rejects"] == {"ragged_row": 1}
    assert found["code"] == 422
    assert found["field"] == "space"
    assert "records without pictures" in found["detail"]
    assert ready["code"] == 200
    hyla = next(match for match in taxa["taxa"] if match["rank"] == "genus")
    (spread,) = ask(bundle, f"/v1/taxa/{hyla['taxon_id']}/distribution?resolution=5")
    assert spread["records"] == 20
    with pytest.raises(BundleError, match="no search to measure"):
        measure_bundle(bundle, queries=5, k=5, seed=0, watcher=Silent())


def test_an_atlas_of_records_lives(tmp_path: Path) -> None:
    """Would break: records cannot be added, removed and tidied up as photos can."""
    bundle = tmp_path / "bundle"
    build(read_plan(write(tmp_path, "first", rows(0, 30))), Silent())
    added = add(read_plan(write(tmp_path, "second", rows(20, 30))), bundle, Silent())
    # Another source's records are its own, even under the same identifiers.
    assert added.manifest.rows == 60
    gone = remove(
        bundle,
        occurrence_ids=["o3"],
        licences=[],
        ignore_missing=False,
        dry_run=False,
        watcher=Silent(),
    )
    assert gone.rows_left == 59
    settings = MeasureSection()
    tidied = compact(
        bundle, index=IndexSection(segment_rows=1_000), settings=settings, watcher=Silent()
    )
    assert [segment.rows for segment in tidied.manifest.segments] == [59]
    assert Bundle.open(bundle).living_rows == 59
    (about,) = ask(bundle, "/v1/atlas")
    assert about["counts"]["images"] == 59
    # The ten that both sources have are flagged once, in one of them.
    flags = {flag["name"]: flag["images"] for flag in about["flags"]}
    assert flags["duplicate_record"] == 10


def test_rows_are_added_under_the_same_table_of_sensitive_taxa(tmp_path: Path) -> None:
    """Would break: rows that are added later show the places that the first ones hide."""
    bundle = tmp_path / "bundle"
    (tmp_path / "sensitive.csv").write_text("taxon,category\nHyla arborea,2\n")
    hiding = '[sensitive]\ntable = "sensitive.csv"\n'
    first = write(tmp_path, "first", rows(0, 10))
    first.write_text(first.read_text() + hiding)
    build(read_plan(first), Silent())
    second = write(tmp_path, "second", rows(10, 10))
    with pytest.raises(PlanError, match="another table, or with none"):
        add(read_plan(second), bundle, Silent())
    second.write_text(second.read_text() + hiding)
    assert add(read_plan(second), bundle, Silent()).manifest.rows == 20


def test_atlantic_birds(tmp_path: Path, shared_data: Path) -> None:
    """Would break: a real dirty table loses rows, or its known faults are not flagged.

    150,423 rows in latin-1: one latitude of +21.9, some of -56.6, three without a place, and 23,101
    of year 0.
    """
    table = shared_data / "atlantic-occurrences" / "ATLANTIC_BIRDS_qualitative.zip"
    text = (CONFIGS / "atlantic-birds.toml").read_text(encoding="utf-8")
    text = re.sub(r'(?m)^path = ".*"$', f'path = "{table}"', text)
    text = re.sub(r'(?m)^bundle = ".*"$', 'bundle = "bundle"', text)
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    manifest = build(read_plan(tmp_path / "plan.toml"), Silent()).manifest
    (source,) = manifest.sources
    assert (source.rows_in, source.rows_out, source.rejects) == (150_423, 150_423, {})
    about, birds = ask(tmp_path / "bundle", "/v1/atlas", "/v1/taxa?q=Aves")
    flags = {flag["name"]: flag["images"] for flag in about["flags"]}
    assert flags["date_invalid"] == 23_101
    assert flags["coordinates_invalid"] == 3
    assert 500 < flags["outside_region"] < 600
    assert about["counts"]["records"] == 150_423
    assert about["counts"]["species"] == 1_089
    aves = birds["taxa"][0]["taxon_id"]
    (spread,) = ask(tmp_path / "bundle", f"/v1/taxa/{aves}/distribution?resolution=3")
    assert spread["records"] > 149_000
    cells = msgspec.json.encode(spread["cells"])
    assert b'"absent"' not in cells
