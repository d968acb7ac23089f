"""The benchmark of maps, at a size that a test can wait for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.geo.cells import place
from benchmarks.density import SPACING_DEG, Density, made_up_density, read_density
from benchmarks.map_questions import CASES, ZOOMS
from benchmarks.map_world import CATALOG
from benchmarks.maps import growth, measure
from benchmarks.occurrence_tree import RANKS, write_tree
from benchmarks.occurrences import FINEST, Occurrences, write_segments

ROWS, TAXA = 30_000, 2_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A folder with the rows of a small world."""
    folder = tmp_path_factory.mktemp("occurrences")
    tree = write_tree(TAXA, 5, folder / "taxa.parquet", folder / "names.parquet")
    return folder, write_segments(Occurrences(ROWS, 5, tree, made_up_density(5)), folder)


@pytest.mark.slow
def test_everything_is_measured_and_plain_sql_counts_the_same(tmp_path: Path) -> None:
    """Would break: the page of maps tells numbers of wrong answers, or of none."""
    found = measure(tmp_path, ROWS, 5, TAXA, made_up_density(5), 4, 1)
    cases: dict[str, dict[str, Any]] = {record["case"]: record for record in found}
    assert len(cases) == len(found)
    for case in CASES:
        for zoom in ZOOMS:
            assert cases[f"tile: {case}, z {zoom}"]["p50_ms"] > 0
    against = [record for record in found if record["case"].startswith("against")]
    assert len(against) == len(CASES) * len(ZOOMS) + 1
    assert all(record["same_numbers"] for record in against)
    assert cases["build: total"]["peak_rss_bytes"] > 0
    bare = cases["size: without identifiers"]["bytes_per_row"]
    assert 0 < bare < cases["size: file"]["bytes_per_row"]
    assert all(record["times"] == 1 for record in growth(found, found))
    # A second run asks the catalog that is there.
    written = (tmp_path / CATALOG).stat().st_mtime_ns
    again = measure(tmp_path, ROWS, 5, TAXA, made_up_density(5), 2, 0)
    assert (tmp_path / CATALOG).stat().st_mtime_ns == written
    assert [r for r in again if r["case"] == "build: total"] == [cases["build: total"]]


def test_rows_are_those_of_a_bundle(world: tuple[Path, list[Path]]) -> None:
    """Would break: the catalog is measured on rows that no build would write."""
    folder, paths = world
    listed = ", ".join(f"'{path}'" for path in paths)
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT * FROM read_parquet([{listed}])").fetchnumpy()
    assert rows["row_id"].tolist() == list(range(ROWS))
    assert len(set(rows["image_id"].tolist())) == ROWS
    day = np.ma.filled(rows["observed_from"], np.datetime64("2200-01-01"))
    order = np.lexsort((rows["row_id"], day, rows["cell"], rows["taxon_id"]))
    np.testing.assert_array_equal(order, np.arange(ROWS))
    metres = np.ma.filled(rows["uncertainty_m"], np.nan)
    wanted = place(rows["latitude"], rows["longitude"], metres, FINEST)
    np.testing.assert_array_equal(rows["cell"], wanted)
    taxa = pq.read_table(folder / "taxa.parquet").to_pylist()
    ranks = {taxa[taxon]["rank"] for taxon in np.unique(rows["taxon_id"]).tolist()}
    assert ranks == {"genus", "species"}
    assert abs(len(taxa) - TAXA) < TAXA / 50
    assert {taxon["rank"] for taxon in taxa} == {"root", *RANKS}


def test_records_repeat_as_real_ones_do(world: tuple[Path, list[Path]]) -> None:
    """Would break: nothing is distinct or nothing is common, so counting costs too much."""
    listed = ", ".join(f"'{path}'" for path in world[1])
    with duckdb.connect() as connection:
        records, visits, photos = connection.execute(
            "SELECT count(DISTINCT occurrence_id), count(DISTINCT (cell, observed_from, observer)),"
            f" count(*) FROM read_parquet([{listed}])"
        ).fetchall()[0]
        most, observers = connection.execute(
            "SELECT max(n), count(*) FROM (SELECT count(*) AS n FROM "
            f"read_parquet([{listed}]) GROUP BY observer)"
        ).fetchall()[0]
    assert 0.9 < records / photos < 0.98
    assert 1.5 < records / visits < 10
    assert most > 10 * photos / observers


def test_the_same_seed_gives_the_same_rows(world: tuple[Path, list[Path]], tmp_path: Path) -> None:
    """Would break: a number cannot be measured again."""
    tree = write_tree(TAXA, 5, tmp_path / "taxa.parquet", tmp_path / "names.parquet")
    again = write_segments(Occurrences(ROWS, 5, tree, made_up_density(5)), tmp_path)
    (tmp_path / "other").mkdir()
    other = write_segments(Occurrences(ROWS, 6, tree, made_up_density(5)), tmp_path / "other")
    for one, same in zip(world[1], again, strict=True):
        assert pq.read_table(one).equals(pq.read_table(same))
    assert not pq.read_table(other[0]).equals(pq.read_table(again[0]))


def test_records_follow_the_density(world: tuple[Path, list[Path]]) -> None:
    """Would break: records lie where nobody lives, and tiles are all alike."""
    density = made_up_density(5)
    table = pq.read_table(world[1][0], columns=["latitude", "longitude"])
    squares = {
        (round(lat / SPACING_DEG - 0.5), round(lon / SPACING_DEG - 0.5)): share
        for lat, lon, share in zip(density.latitude, density.longitude, density.share, strict=True)
    }
    at = [
        (int(np.floor(lat / SPACING_DEG)), int(np.floor(lon / SPACING_DEG)))
        for lat, lon in zip(*(column.to_pylist() for column in table), strict=True)
    ]
    inside = [squares[square] for square in at if square in squares]
    assert len(inside) > 0.9 * len(at)  # sites spread over the edge of their square
    assert np.mean(inside) > 2 / len(squares)


def test_a_density_is_read_from_a_table(tmp_path: Path) -> None:
    """Would break: a real density is read with latitude for longitude, or does not sum to one."""
    path = tmp_path / "density.parquet"
    columns = {"lon": [-0.2, 151.2, 36.8], "lat": [51.5, -33.9, -1.3], "n": [6, 7, 1]}
    pq.write_table(pa.table(columns), path)
    density: Density = read_density(path)
    assert (density.before[0], density.before[-1]) == (0, 1)
    listed = zip(density.latitude, density.longitude, density.share, strict=True)
    wanted = [(-33.9, 151.2, 0.5), (-1.3, 36.8, 1 / 14), (51.5, -0.2, 6 / 14)]
    np.testing.assert_allclose(sorted(listed), wanted)
