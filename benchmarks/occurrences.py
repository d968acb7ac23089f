"""Made-up occurrences of a hundred million rows: what segments of a bundle without photos hold.

People make visits: a place, a day and an observer, many in towns and few elsewhere, as the density
says. A record is a species at a visit inside the species' range. So cells hold sets of species,
visits hold lists, and observers have home grounds. Everything about a visit follows from its number
by hashing, so no table of visits is kept, and each segment is made by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.flags import Flag
from atlas.geo.cells import place
from benchmarks.density import SPACING_DEG, Density
from benchmarks.occurrence_tree import Tree
from indexer.records import image_ids_of
from indexer.work import ROW_GROUP_ROWS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

FINEST = 7
SOURCES = ("gatherings", "checklists", "museum")
_SEGMENT_ROWS = 10_000_000
_CHUNK_ROWS = 1_000_000
_RECORDS_OF_VISIT = 5.0
_OBSERVERS = 300_000
_LAST_DAY, _DAYS = 20_400, 16_000  # 1982 to 2025
_METRES_PER_DEG = 111_320.0


class Occurrences(NamedTuple):
    """The world: how many rows, of which taxa, and where."""

    rows: int
    seed: int
    tree: Tree
    density: Density
    finest: int = FINEST


class _Ranges(NamedTuple):
    """Two stretches of the density for each taxon, as shares before them and their widths."""

    start: Floats  # (taxa, 2)
    width: Floats  # (taxa, 2)


def write_segments(world: Occurrences, folder: Path, workers: int = 2) -> list[Path]:
    """Write the row files of all segments below `folder`; returns them in order."""
    rng = np.random.default_rng([world.seed, 2])
    counts = rng.multinomial(world.rows, world.tree.popularity)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    segments = max(1, round(world.rows / _SEGMENT_ROWS))
    cuts = np.searchsorted(before, np.arange(1, segments) * (world.rows // segments))
    bounds = np.unique(np.concatenate([[0], cuts, [len(counts)]])).tolist()
    ranges = _ranges(world, counts, rng)
    paths = [folder / f"{number:04d}.parquet" for number in range(len(bounds) - 1)]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(_write_segment, world, counts, ranges, low, high, path)
            for low, high, path in zip(bounds, bounds[1:], paths, strict=False)
        ]
        for job in jobs:
            job.result()
    return paths


def _ranges(world: Occurrences, counts: Ints, rng: np.random.Generator) -> _Ranges:
    """Ranges of most sizes; wide enough that no species is one in ten records where it lives."""
    density, taxa = world.density, len(counts)
    squares = len(density.share)
    liked = density.share**0.7
    centre = rng.choice(squares, taxa, p=liked / liked.sum())
    wide = np.clip(rng.lognormal(np.log(150.0), 1.5, taxa), 3, squares / 4)
    least = 10.0 * counts / world.rows
    start, width = np.empty((taxa, 2)), np.empty((taxa, 2))
    for part, (away, size) in enumerate(((0.0, 1.0), (4.0, 0.3))):
        middle = np.clip(centre + away * wide * rng.uniform(-1, 1, taxa), 0, squares - 1)
        low = np.clip(middle - wide * size, 0, squares - 1).astype(np.int64)
        high = np.clip(middle + wide * size + 1, 1, squares).astype(np.int64)
        lack = np.maximum(0.0, least * size - (density.before[high] - density.before[low]))
        first = np.maximum(0.0, density.before[low] - lack / 2)
        last = np.minimum(1.0, density.before[high] + lack / 2)
        start[:, part], width[:, part] = first, last - first
    return _Ranges(start, width)


def _write_segment(
    world: Occurrences, counts: Ints, ranges: _Ranges, low: int, high: int, path: Path
) -> None:
    first_row = int(counts[:low].sum())
    rng = np.random.default_rng([world.seed, 3, low])
    writer = None
    held: list[pa.Table] = []
    for start, stop in _chunks(counts, low, high):
        table = _rows(world, counts, ranges, start, stop, first_row, rng)
        first_row += table.num_rows
        held.append(table)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        whole = pa.concat_tables(held)
        full = whole.num_rows // ROW_GROUP_ROWS * ROW_GROUP_ROWS
        writer.write_table(whole.slice(0, full), row_group_size=ROW_GROUP_ROWS)
        held = [whole.slice(full)]
    if writer is not None:
        writer.write_table(pa.concat_tables(held), row_group_size=ROW_GROUP_ROWS)
        writer.close()


def _chunks(counts: Ints, low: int, high: int) -> Iterator[tuple[int, int]]:
    start, held = low, 0
    for taxon, count in enumerate(counts[low:high].tolist(), low):
        held += count
        if held >= _CHUNK_ROWS:
            yield start, taxon + 1
            start, held = taxon + 1, 0
    if held:
        yield start, high


def _rows(
    world: Occurrences,
    counts: Ints,
    ranges: _Ranges,
    start: int,
    stop: int,
    first_row: int,
    rng: np.random.Generator,
) -> pa.Table:
    taxon = np.repeat(np.arange(start, stop), counts[start:stop])
    seen = _visited(world, ranges, taxon, rng)
    order = np.lexsort((seen["from"], seen["cell"], taxon))
    seen = {name: values[order] for name, values in seen.items()}
    row = np.arange(first_row, first_row + len(taxon))
    # One row in twenty is a second photo of the record before it.
    again = (rng.random(len(taxon)) < 0.05) & (np.diff(taxon, prepend=-1) == 0)
    again[1:] &= ~again[:-1]
    (copies,) = np.nonzero(again)
    for values in seen.values():
        values[copies] = values[copies - 1]
    record = row.copy()
    record[copies] -= 1
    return _table(world, taxon, row, record, seen, rng)


def _visited(
    world: Occurrences, ranges: _Ranges, taxon: Ints, rng: np.random.Generator
) -> dict[str, npt.NDArray[Any]]:
    """A visit for each record, and what follows from it: place, day, observer."""
    density, count = world.density, len(taxon)
    at = rng.random(count) * ranges.width[taxon].sum(axis=1)
    second = at >= ranges.width[taxon, 0]
    at = np.where(second, at - ranges.width[taxon, 0], at) + ranges.start[taxon, second * 1]
    square = np.clip(np.searchsorted(density.before, at, side="right") - 1, 0, None)
    square = np.minimum(square, len(density.share) - 1)
    visits = np.maximum(1.0, world.rows * density.share[square] / _RECORDS_OF_VISIT)
    visit = (square.astype(np.uint64) << np.uint64(32)) | (rng.random(count) * visits).astype(
        np.uint64
    )
    sites = np.clip(2.0 * np.sqrt(visits), 1, 250)
    site = (square.astype(np.uint64) << np.uint64(16)) | (sites * _unit(visit, 1) ** 2).astype(
        np.uint64
    )
    # A few hundred metres around the site.
    spread = rng.normal(0, 0.002, (2, count))
    latitude = density.latitude[square] + SPACING_DEG * (_unit(site, 2) - 0.5) + spread[0]
    longitude = density.longitude[square] + SPACING_DEG * (_unit(site, 3) - 0.5) + spread[1]
    latitude = np.round(np.clip(latitude, -90, 90), 5)
    longitude = np.round((longitude + 180) % 360 - 180, 5)
    uncertainty = _uncertainty(rng, count)
    locals_ = np.clip(visits / 8.0, 1, 2_000)
    home = (square.astype(np.uint64) << np.uint64(20)) | (locals_ * _unit(visit, 4) ** 2).astype(
        np.uint64
    )
    travels = _unit(visit, 5) < 0.15
    observer = np.where(travels, _unit(visit, 6) ** 3, _unit(home, 7)) * _OBSERVERS
    day = (_LAST_DAY - _DAYS * _unit(visit, 8) ** 3).astype(np.int32)
    span = rng.choice(np.array([0, 30, 364, -1], np.int32), count, p=[0.92, 0.04, 0.02, 0.02])
    return {
        "latitude": latitude,
        "longitude": longitude,
        "uncertainty_m": uncertainty,
        "cell": place(latitude, longitude, uncertainty, world.finest),
        "from": np.where(span < 0, np.int32(2**31 - 1), day),
        "to": day + np.maximum(span, 0),
        "observer": observer.astype(np.int32),
    }


def _uncertainty(rng: np.random.Generator, count: int) -> npt.NDArray[np.float32]:
    """Metres: often unknown, mostly below a hundred, now and then a district."""
    metres = np.round(rng.lognormal(np.log(25.0), 1.0, count)) + 1
    draw = rng.random(count)
    metres = np.where(draw < 0.03, np.round(rng.uniform(5_000, 60_000, count), -3), metres)
    return np.where(draw > 0.6, np.nan, metres).astype(np.float32)


def _table(
    world: Occurrences,
    taxon: Ints,
    row: Ints,
    record: Ints,
    seen: dict[str, npt.NDArray[Any]],
    rng: np.random.Generator,
) -> pa.Table:
    count = len(row)
    undated = seen["from"] == 2**31 - 1
    absent = np.where(rng.random(count) < 0.01, int(Flag.RECORDED_ABSENT), 0).astype(np.int32)
    source = rng.choice(len(SOURCES), count, p=[0.7, 0.25, 0.05]).astype(np.int8)
    names, name = np.unique(taxon, return_inverse=True)
    people, person = np.unique(seen["observer"], return_inverse=True)
    nothing = pa.nulls(count, pa.string())
    occurrence_id = _numbered("record-", record)
    return pa.table(
        {
            "row_id": row,
            "taxon_id": taxon.astype(np.int32),
            "image_id": _image_ids(source, occurrence_id, row != record),
            "occurrence_id": occurrence_id,
            "scientific_name": _named([world.tree.scientific_name[n] for n in names], name),
            "cell": seen["cell"],
            "latitude": seen["latitude"],
            "longitude": seen["longitude"],
            "uncertainty_m": pa.array(seen["uncertainty_m"], pa.float32(), from_pandas=True),
            "observed_from": pa.array(seen["from"], pa.int32(), mask=undated).cast(pa.date32()),
            "observed_to": pa.array(seen["to"], pa.int32(), mask=undated).cast(pa.date32()),
            "observer": _named([f"Observer {n:06d}" for n in people], person),
            "basis_of_record": _named(["HumanObservation"], np.zeros(count, np.int64)),
            "licence": _named(["CC0", "CC BY 4.0", "CC BY-NC 4.0"], source),
            "media_licence": nothing,
            "rights_holder": nothing,
            "reference_url": nothing,
            "media_url": nothing,
            "media_type": nothing,
            "media_sha256": nothing,
            "flags": absent,
            "source_key": _named(list(SOURCES), source),
        }
    )


def _named(names: list[str], number: npt.NDArray[Any]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(number.astype(np.int32)), pa.array(names))


def _mixed(value: Hashes, salt: int) -> Hashes:
    """SplitMix64's finaliser: each number becomes one that looks random."""
    mixed = value + np.uint64(0x9E3779B97F4A7C15 * salt % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _unit(value: Hashes, salt: int) -> Floats:
    return (_mixed(value, salt) >> np.uint64(11)).astype(np.float64) / 2.0**53


def _image_ids(source: npt.NDArray[np.int8], occurrence_id: pa.Array, again: Flags) -> pa.Array:
    """Ids as the indexer makes them; those of second photos do not follow from the record."""
    made = [
        image_ids_of(key, own.to_pylist(), np.where(again[source == number], "second", "").tolist())
        for number, key in enumerate(SOURCES)
        for own in [occurrence_id.filter(pa.array(source == number))]
    ]
    place = np.argsort(np.argsort(source, kind="stable"), kind="stable")
    return pa.concat_arrays(made).take(pa.array(place))


def _numbered(prefix: str, number: Ints) -> pa.Array:
    """The prefix and twelve digits."""
    text = np.empty((len(number), len(prefix) + 12), np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    powers = 10 ** np.arange(11, -1, -1)
    text[:, len(prefix) :] = number[:, np.newaxis] // powers % 10 + ord("0")
    return _fixed_text(text)


def _fixed_text(text: npt.NDArray[np.uint8]) -> pa.Array:
    count, width = text.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text))]
    return pa.Array.from_buffers(pa.string(), count, buffers)
