"""The catalog stage against counts made row by row in plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import h3
import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from atlas.bundle.flags import FLAGS, held_back_mask
from indexer.stages import catalog
from indexer.stages.catalog import STEPS, CatalogInput, SourceRow, write_catalog
from tests.unit.indexer.world import FINEST, Row, World, random_rows, sort_world

SOURCES = tuple(
    SourceRow(
        key=key,
        kind="folder",
        title=key.title(),
        citation=f"The {key}.",
        licence="CC0-1.0",
        url=f"https://{key}.test",
    )
    for key in ("museum", "garden", "empty")
)
READINGS = {
    "CC0": "CC0-1.0",
    "CC BY 4.0": "CC-BY-4.0",
    "http://creativecommons.org/licenses/by/4.0/": "CC-BY-4.0",
    "ask the museum": "ask the museum",
    None: None,
}


class Count(msgspec.Struct, kw_only=True):
    """What is gathered of one taxon in one cell and period."""

    records: set[tuple[str, str]] = msgspec.field(default_factory=set)
    coarse: set[tuple[str, str]] = msgspec.field(default_factory=set)
    observers: set[str] = msgspec.field(default_factory=set)
    visits: set[tuple[date, str]] = msgspec.field(default_factory=set)
    first: list[date] = msgspec.field(default_factory=list)
    last: list[date] = msgspec.field(default_factory=list)
    uncertainty_m: list[float] = msgspec.field(default_factory=list)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Some 250 rows in three segments."""
    return sort_world(tmp_path_factory.mktemp("catalog"), random_rows(23, (130, 140)), 90)


def given(world: World) -> CatalogInput:
    """What the stage is told of a world."""
    return CatalogInput(
        rows=tuple(world.segment(cut) / "rows.parquet" for cut in world.cuts),
        taxa=world.taxa,
        names=world.names,
        sources=SOURCES,
        hosted_licences=("CC0-1.0",),
        finest=FINEST,
    )


@pytest.fixture(scope="module")
def connection(world: World) -> Any:
    """The catalog of the world, open for reading."""
    path = world.folder / "Ada's catalog.duckdb"
    steps: list[int] = []
    write_catalog(given(world), path, world.folder / "spill", steps.append)
    assert sum(steps) == STEPS
    assert not (world.folder / "spill").exists()
    with duckdb.connect(str(path), read_only=True) as opened:
        yield opened


def rows_of(connection: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    """A table in its own order."""
    found = connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def counted(world: World) -> dict[tuple[int, int, int, int], Count]:
    """Counts by (taxon, resolution, period, cell), one row and one ancestor after the other."""
    taxa = pq.read_table(world.taxa).to_pylist()
    counts: dict[tuple[int, int, int, int], Count] = defaultdict(Count)
    for row in world.stored():
        if row["cell"] is None or row["flags"] & held_back_mask():
            continue
        text = h3.int_to_str(row["cell"])
        stored_at = h3.get_resolution(text)
        taxon: int | None = row["taxon_id"]
        while taxon is not None:
            for resolution in range(stored_at + 1):
                cell = h3.str_to_int(h3.cell_to_parent(text, resolution))
                for period in periods(row):
                    count = counts[taxon, resolution, period, cell]
                    add(count, row, is_coarse=resolution == stored_at < FINEST)
            taxon = taxa[taxon]["parent_id"]
    return counts


def periods(row: Row) -> set[int]:
    """All time, and the year where all days of the record are in one."""
    first, last = row["observed_from"], row["observed_to"]
    return {0, first.year} if first is not None and first.year == last.year else {0}


def add(count: Count, row: Row, *, is_coarse: bool) -> None:
    """Count one row."""
    record = (row["source_key"], row["occurrence_id"])
    observer = row["observer"] or ""
    count.records.add(record)
    if is_coarse:
        count.coarse.add(record)
    count.observers.add(observer)
    if row["observed_from"] is not None:
        count.first.append(row["observed_from"])
        count.last.append(row["observed_to"])
        if row["observed_from"] == row["observed_to"]:
            count.visits.add((row["observed_from"], observer))
    if row["uncertainty_m"] is not None:
        count.uncertainty_m.append(row["uncertainty_m"])


def test_occupancy_is_what_counting_by_hand_gives(
    world: World, connection: duckdb.DuckDBPyConnection
) -> None:
    """Would break: every map shows wrong numbers of records, observers or visits."""
    wanted = counted(world)
    found = rows_of(connection, "occupancy")
    keys = [(row["taxon_id"], row["resolution"], row["period"], row["cell"]) for row in found]
    # In this order, without one twice: a taxon's map is one contiguous read.
    assert keys == sorted(wanted)
    for key, row in zip(keys, found, strict=True):
        count = wanted[key]
        assert row["n"] == len(count.records)
        assert row["n_coarse"] == len(count.coarse)
        assert row["observers"] == len(count.observers)
        assert row["visits"] == len(count.visits)
        assert row["first_day"] == min(count.first, default=None)
        assert row["last_day"] == max(count.last, default=None)
        assert row["min_uncertainty_m"] == min(count.uncertainty_m, default=None)


def test_the_world_has_what_could_be_miscounted(
    world: World, connection: duckdb.DuckDBPyConnection
) -> None:
    """Would break: the comparison above proves nothing, because nothing special came up."""
    found = rows_of(connection, "occupancy")
    stored = world.stored()
    assert any(row["n_coarse"] for row in found)
    assert any(row["n"] > row["visits"] > 0 for row in found)
    assert any(row["visits"] == 0 for row in found)
    assert {row["period"] for row in found} >= {0, 2019, 2020, 2021}
    assert any(row["flags"] & held_back_mask() and row["cell"] for row in stored)
    photos = [(row["source_key"], row["occurrence_id"]) for row in stored]
    assert len(set(photos)) < len(photos)


def test_records_by_cell_are_in_order(world: World, connection: duckdb.DuckDBPyConnection) -> None:
    """Would break: a search in a cell reads the whole table, or misses rows."""
    wanted = [(row["cell"], row["row_id"]) for row in world.stored() if row["cell"] is not None]
    found = connection.execute("SELECT cell, row_id FROM image_by_cell").fetchall()
    assert found == sorted(wanted)


def test_images_are_found_by_id(world: World, connection: duckdb.DuckDBPyConnection) -> None:
    """Would break: a link to a photo leads to another photo."""
    wanted = sorted((row["image_id"], row["row_id"]) for row in world.stored())
    found = connection.execute("SELECT image_id::VARCHAR, row_id FROM image_key").fetchall()
    assert found == wanted


def test_every_photo_keeps_its_record(world: World, connection: duckdb.DuckDBPyConnection) -> None:
    """Would break: a hit shows the place, day or credit of another record."""
    sources = {source.key: i for i, source in enumerate(SOURCES)}
    licences = {row["licence_id"]: row["code"] for row in rows_of(connection, "licence")}
    images = rows_of(connection, "image")
    for found, row in zip(images, world.stored(), strict=True):
        first, last = row["observed_from"], row["observed_to"]
        in_one_month = first and (first.year, first.month) == (last.year, last.month)
        assert str(found.pop("image_id")) == row["image_id"]
        assert found.pop("month") == (first.month if in_one_month else None)
        assert found.pop("source_id") == sources[row["source_key"]]
        assert found.pop("cell_resolution") == (
            None if row["cell"] is None else h3.get_resolution(h3.int_to_str(row["cell"]))
        )
        assert licences.get(found.pop("licence_id")) == READINGS[row["licence"]]
        assert licences.get(found.pop("media_licence_id")) == READINGS[row["media_licence"]]
        assert found == {name: row[name] for name in found}
    assert len({row["month"] for row in rows_of(connection, "image")}) > 2


def test_licences_are_read_once_each(connection: duckdb.DuckDBPyConnection) -> None:
    """Would break: one licence has two names in filters, or a copied photo no licence."""
    found = rows_of(connection, "licence")
    assert [row["licence_id"] for row in found] == [0, 1, 2]
    assert [row["code"] for row in found] == ["CC-BY-4.0", "CC0-1.0", "ask the museum"]
    assert [row["hosting"] for row in found] == [False, True, False]
    assert [row["url"] for row in found] == [
        "https://creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "",
    ]


def test_taxa_count_their_photos_and_those_below(
    world: World, connection: duckdb.DuckDBPyConnection
) -> None:
    """Would break: a taxon with photos is shown as empty, or a genus has more than its family."""
    numbers = np.array([row["taxon_id"] for row in world.stored()])
    plain = pq.read_table(world.taxa).to_pylist()
    for found, taxon in zip(rows_of(connection, "taxon"), plain, strict=True):
        first, last = taxon["taxon_id"], taxon["last_descendant"]
        assert found.pop("images") == int(((numbers >= first) & (numbers <= last)).sum())
        assert found.pop("images_here") == int((numbers == first).sum())
        assert found == taxon


def test_names_are_in_the_order_of_completion(
    world: World, connection: duckdb.DuckDBPyConnection
) -> None:
    """Would break: completion, which reads names as they lie, gives others each time."""
    found = rows_of(connection, "taxon_name")
    key = ["folded", "taxon_id", "kind", "name"]
    assert found == sorted(found, key=lambda row: [row[name] for name in key])
    assert len(found) == pq.read_metadata(world.names).num_rows


def test_sources_are_numbered_as_in_the_plan(
    world: World, connection: duckdb.DuckDBPyConnection
) -> None:
    """Would break: a record is credited to another source, or an empty source is not cited."""
    found = rows_of(connection, "source")
    keys = [row["source_key"] for row in world.stored()]
    assert [row["rows"] for row in found] == [keys.count(source.key) for source in SOURCES]
    assert found[2]["rows"] == 0
    for i, (row, source) in enumerate(zip(found, SOURCES, strict=True)):
        assert row["source_id"] == i
        assert {name: row[name] for name in SourceRow.__struct_fields__} == msgspec.to_builtins(
            source
        )


def test_flags_are_explained(connection: duckdb.DuckDBPyConnection) -> None:
    """Would break: a reader of the bundle alone cannot tell what a bit means."""
    assert [(row["bit"], row["name"], row["held_back"]) for row in rows_of(connection, "flag")] == [
        (int(meaning.flag), meaning.name, meaning.held_back) for meaning in FLAGS
    ]


def test_a_failed_catalog_is_made_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a catalog without its last table is published after a crash."""
    path = tmp_path / "catalog.duckdb"

    def fail(connection: duckdb.DuckDBPyConnection, finest: int) -> None:
        connection.execute("CREATE TABLE occupancy AS SELECT 1 AS taxon_id")
        raise OSError(f"no space left at resolution {finest}")

    with monkeypatch.context() as patch:
        patch.setattr(catalog, "_write_occupancy", fail)
        with pytest.raises(OSError, match="no space left"):
            write_catalog(given(world), path, tmp_path / "spill", lambda _done: None)
    assert not [entry for entry in tmp_path.iterdir() if entry.name != "spill"]
    write_catalog(given(world), path, tmp_path / "spill", lambda _done: None)
    written = path.stat().st_mtime_ns
    steps: list[int] = []
    write_catalog(given(world), path, tmp_path / "spill", steps.append)
    assert steps == [STEPS]
    assert path.stat().st_mtime_ns == written
    with duckdb.connect(str(path), read_only=True) as opened:
        assert len(rows_of(opened, "occupancy")) == len(counted(world))
