"""The catalog stage against counts made row by row in plain Python."""

from __future__ import annotations

import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import h3
import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from atlas.bundle.flags import FLAGS, held_back_mask
from atlas.bundle.image_ids import form_of_ids, image_id_of, rows_of_ids
from indexer.stages import catalog
from indexer.stages.catalog import STEPS, CatalogInput, MapStorage, SourceRow, write_catalog
from indexer.tables import images, occupancy, placed
from tests.unit.indexer.world import FINEST, World, random_rows, sort_world
from tests.unit.species.counting_oracle import Record, Tally, tally

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


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Some 250 rows in three segments; the image ids of some follow from their records."""
    rows = random_rows(23, (130, 140))
    for number, row in enumerate(row for part in rows for row in part[::3]):
        row["media_url"] = f"https://photos.test/{number}" if number % 2 else None
        row["image_id"] = image_id_of(
            row["source_key"], row["occurrence_id"], row["media_url"] or ""
        )
    return sort_world(tmp_path_factory.mktemp("catalog"), rows, 90)


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


def counted(world: World) -> list[Record]:
    """The first photo of each record that maps count, in row order."""
    taxa = pq.read_table(world.taxa).to_pylist()
    found: dict[tuple[object, ...], Record] = {}
    for row in world.stored():
        if row["cell"] is None or row["flags"] & held_back_mask():
            continue
        key = (row["source_key"], row["occurrence_id"], row["taxon_id"], row["cell"])
        at: int | None = row["taxon_id"]
        while at is not None and taxa[at]["rank"] != "species":
            at = taxa[at]["parent_id"]
        record = Record(
            cell=row["cell"],
            taxon_id=row["taxon_id"],
            species=at,
            observer=row["observer"] or "",
            first=row["observed_from"],
            last=row["observed_to"],
            uncertainty_m=row["uncertainty_m"],
        )
        found.setdefault(key, record)
    return list(found.values())


def tallies(world: World) -> dict[tuple[int, int], dict[int, Tally]]:
    """Counts by taxon, resolution and cell, one record and one ancestor after the other."""
    taxa = pq.read_table(world.taxa).to_pylist()
    records = counted(world)
    return {
        (taxon["taxon_id"], resolution): tally(
            [r for r in records if taxon["taxon_id"] <= r.taxon_id <= taxon["last_descendant"]],
            resolution,
            FINEST,
        )
        for taxon in taxa
        for resolution in range(FINEST + 1)
    }


STORAGES = (
    MapStorage(),
    MapStorage(least_records=1, least_per_cell=0, species_resolutions=(0, 2, 9)),
    MapStorage(least_records=20, least_per_cell=3),
)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("rows_at_once", [7, 1_000_000])
def test_occupancy_is_what_counting_by_hand_gives(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    storage: MapStorage,
    rows_at_once: int,
) -> None:
    """Would break: every map shows wrong numbers of records, observers, visits or species."""
    for name in ("_PART_ROWS", "_SPECIES_CHUNK_ROWS", "_INSERT_ROWS"):
        monkeypatch.setattr(occupancy, name, rows_at_once)
    monkeypatch.setattr(placed, "_CHUNK_ROWS", rows_at_once)
    path = tmp_path / "catalog.duckdb"
    chosen = msgspec.structs.replace(given(world), storage=storage)
    write_catalog(chosen, path, tmp_path / "spill", lambda _done: None)
    wanted = tallies(world)
    with duckdb.connect(str(path), read_only=True) as opened:
        found = rows_of(opened, "occupancy")
        runs = rows_of(opened, "occupancy_run")
        species = rows_of(opened, "species_cell")
    stored = {(run["taxon_id"], run["resolution"]): run["rows"] for run in runs}
    for (taxon_id, resolution), cells in wanted.items():
        n = sum(one.n for one in cells.values())
        dense = n >= storage.least_per_cell * max(1, len(cells))
        total = sum(one.n for one in wanted[taxon_id, 0].values())
        heavy = total >= storage.least_records and dense
        assert ((taxon_id, resolution) in stored) == (taxon_id == 0 or heavy)
    # In this order, without one twice: a taxon's map is one contiguous read.
    keys = [(row.pop("taxon_id"), row.pop("resolution"), row.pop("cell")) for row in found]
    assert keys == sorted(set(keys))
    assert keys == [(*run, cell) for run in sorted(stored) for cell in wanted[run]]
    for (taxon_id, resolution, cell), row in zip(keys, found, strict=True):
        assert row == wanted[taxon_id, resolution][cell].row()
    assert stored == {run: len(wanted[run]) for run in stored}
    assert species == [
        {
            "resolution": resolution,
            "cell": cell,
            "taxon_id": taxon_id,
            "n": one.species_n[taxon_id],
            "visits": len(one.species[taxon_id]),
            "last_day": one.species_last.get(taxon_id),
        }
        for resolution in storage.species_resolutions
        if resolution <= FINEST
        for cell, one in wanted[0, resolution].items()
        for taxon_id in sorted(one.species)
    ]


@pytest.mark.parametrize("chunk_rows", [1, 40, 10_000])
def test_the_first_photo_of_a_record_counts(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chunk_rows: int
) -> None:
    """Would break: a record with three photos counts three times, or never."""
    monkeypatch.setattr(images, "CHUNK_ROWS", chunk_rows)
    path = tmp_path / "catalog.duckdb"
    write_catalog(given(world), path, tmp_path / "spill", lambda _done: None)
    with duckdb.connect(str(path), read_only=True) as opened:
        found = opened.execute("SELECT cell, taxon_id, counted FROM image ORDER BY row_id")
        marked = [(cell, taxon) for cell, taxon, is_counted in found.fetchall() if is_counted]
        held = rows_of(opened, "held_back")
    assert marked == [(record.cell, record.taxon_id) for record in counted(world)]
    records: dict[tuple[int, int], set[tuple[str, str]]] = defaultdict(set)
    for row in world.stored():
        if bits := row["flags"] & held_back_mask():
            key = (row["source_key"], row["occurrence_id"])
            records[row["taxon_id"], bits].add(key)
    assert held == [
        {"taxon_id": taxon_id, "flags": bits, "records": len(records[taxon_id, bits])}
        for taxon_id, bits in sorted(records)
    ]


def test_the_world_has_what_could_be_miscounted(world: World) -> None:
    """Would break: the comparison above proves nothing, because nothing special came up."""
    rows = [one.row() for cells in tallies(world).values() for one in cells.values()]
    stored = world.stored()
    assert any(row["n_coarse"] for row in rows)
    assert any(row["n"] > row["visits"] > 0 for row in rows)
    assert any(row["visits"] == 0 for row in rows)
    assert any(row["q1"] and row["q2"] for row in rows)
    assert any(row["incidences"] > row["visits"] for row in rows)
    assert any(record.species is None for record in counted(world))
    assert any(row["flags"] & held_back_mask() and row["cell"] for row in stored)
    photos = [(row["source_key"], row["occurrence_id"]) for row in stored]
    assert len(set(photos)) < len(photos)


def test_records_by_cell_are_in_order(world: World, connection: duckdb.DuckDBPyConnection) -> None:
    """Would break: a search in a cell reads the whole table, or misses rows."""
    wanted = [row for row in world.stored() if row["cell"] is not None]
    wanted.sort(key=lambda row: (row["cell"], row["taxon_id"], row["row_id"]))
    found = rows_of(connection, "image_by_cell")
    names = dict(connection.execute("SELECT observer_id, name FROM observer").fetchall())
    counted_rows = connection.execute("SELECT row_id FROM image WHERE counted").fetchall()
    assert sum(row["counted"] for row in found) == len(counted_rows)
    for row, stored in zip(found, wanted, strict=True):
        assert row.pop("counted") == ((row["row_id"],) in counted_rows)
        assert SOURCES[row.pop("source_id")].key == stored["source_key"]
        assert names[row.pop("observer_id")] == (stored["observer"] or "")
        span, first = row.pop("span_days"), stored["observed_from"]
        assert span == (None if first is None else (stored["observed_to"] - first).days)
        assert row == {name: stored[name] for name in row}


def test_images_are_found_by_id(world: World, connection: duckdb.DuckDBPyConnection) -> None:
    """Would break: a link to a photo leads to another photo."""
    wanted = sorted((row["image_id"], row["row_id"]) for row in world.stored())
    found = connection.execute(
        "SELECT image_id::VARCHAR, row_id FROM image_identity ORDER BY image_id"
    ).fetchall()
    assert found == wanted
    for image_id, row_id in wanted:
        rows = rows_of_ids("SELECT $image_id::UUID AS image_id", form_of_ids(connection))
        assert connection.execute(rows, {"image_id": image_id}).fetchall() == [
            (row_id, uuid.UUID(image_id))
        ]
    keys = connection.execute("SELECT id_number, row_id FROM image_key").fetchall()
    assert keys == sorted(keys)
    assert len(keys) == len(wanted)


def test_only_ids_that_do_not_follow_are_stored(
    world: World, connection: duckdb.DuckDBPyConnection
) -> None:
    """Would break: a catalog of records without photos is a third larger, or an id is lost."""
    stored = {
        row["row_id"]: row["image_id"]
        for row in world.stored()
        if row["image_id"]
        != image_id_of(row["source_key"], row["occurrence_id"], row["media_url"] or "")
    }
    assert 0 < len(stored) < len(world.stored())
    found = connection.execute("SELECT row_id, image_id::VARCHAR FROM image_stored_id").fetchall()
    assert found == sorted(stored.items())


def test_every_photo_keeps_its_record(world: World, connection: duckdb.DuckDBPyConnection) -> None:
    """Would break: a hit shows the place, day or credit of another record."""
    sources = {source.key: i for i, source in enumerate(SOURCES)}
    licences = {row["licence_id"]: row["code"] for row in rows_of(connection, "licence")}
    images = rows_of(connection, "image")
    observers = {row["observer_id"]: row["name"] for row in rows_of(connection, "observer")}
    assert list(observers) == list(range(len(observers)))
    assert list(observers.values()) == ["", *sorted(filter(None, observers.values()))]
    for found, row in zip(images, world.stored(), strict=True):
        first, last = row["observed_from"], row["observed_to"]
        in_one_month = first and (first.year, first.month) == (last.year, last.month)
        assert found.pop("month") == (first.month if in_one_month else None)
        assert found.pop("source_id") == sources[row["source_key"]]
        assert found.pop("cell_resolution") == (
            None if row["cell"] is None else h3.get_resolution(h3.int_to_str(row["cell"]))
        )
        assert observers[found.pop("observer_id")] == (row["observer"] or "")
        found.pop("counted")
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

    def fail(connection: duckdb.DuckDBPyConnection, *_given: object) -> None:
        connection.execute("CREATE TABLE occupancy AS SELECT 1 AS taxon_id")
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(catalog, "write_occupancy", fail)
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
        assert sum(
            row["n"] for row in rows_of(opened, "occupancy") if row["resolution"] == 0
        ) == len(counted(world))
