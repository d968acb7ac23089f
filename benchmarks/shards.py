"""Worlds as tables: Parquet files that the source of ready vectors reads, and queries in NumPy's.

Knows column names and file formats, not how rows are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.lineages import RANKS
from benchmarks.worlds import BLOCK_ROWS, LICENCES, SOURCES, Rows, World


def table_of(world: World, rows: Rows) -> pa.Table:
    """Rows as a table: uuid, emb, the ranks, and Darwin Core terms."""
    lineages, count = world.lineages, len(rows.species)
    hexadecimal = rows.uuid.tobytes().hex()
    whole = [hexadecimal[at : at + 32] for at in range(0, 32 * count, 32)]
    taxa = {}
    for depth, rank in enumerate(RANKS):
        names = pa.array(lineages.names[depth], pa.string())
        taxa[rank] = names.take(pa.array(lineages.nodes[rows.species, depth]))
    vectors = pa.array(rows.vectors.ravel(), pa.float16())
    return pa.table(
        {
            "uuid": [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in whole],
            "emb": pa.FixedSizeListArray.from_arrays(vectors, world.dim),
            **taxa,
            "scientific_name": taxa["species"],
            "decimalLatitude": rows.seen.latitude,
            "decimalLongitude": rows.seen.longitude,
            "coordinateUncertaintyInMeters": pa.array(rows.seen.uncertainty_m, from_pandas=True),
            "eventDate": pa.array(rows.seen.day.astype(np.int32)).cast(pa.date32()).cast("string"),
            "recordedBy": [f"Observer {number}" for number in rows.seen.observer.tolist()],
            "source": _names([key for key, _ in SOURCES], rows.source),
            "licence": _names([code for code, _ in LICENCES], rows.licence),
        }
    )


def _names(names: list[str], numbers: np.ndarray) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(numbers))


def write_shards(world: World, folder: Path, shard_rows: int) -> Iterator[Path]:
    """Write `world-NNNNN.parquet` files of about `shard_rows` rows; yields each when it is whole.

    Row groups are blocks, so a reader's memory stays small.
    """
    per_shard = max(1, shard_rows // BLOCK_ROWS)
    writer, path = None, folder
    for number, rows in enumerate(world.chunks(BLOCK_ROWS)):
        table = table_of(world, rows)
        if writer is None:
            path = folder / f"world-{number // per_shard:05d}.parquet"
            # Vectors do not compress, and their dictionary would only be given up again.
            writer = pq.ParquetWriter(
                path,
                table.schema,
                use_dictionary=[*RANKS, "scientific_name", "recordedBy", "source", "licence"],
                compression={"emb.list.element": "none"},
            )
        writer.write_table(table)
        if (number + 1) % per_shard == 0:
            writer.close()
            writer = None
            yield path
    if writer is not None:
        writer.close()
        yield path


def write_queries(world: World, count: int, path: Path) -> None:
    """Write `count` queries of each kind: KIND, KIND_species, KIND_latitude, KIND_longitude."""
    arrays: dict[str, np.ndarray] = {}
    for kind, queries in world.queries(count).items():
        arrays[kind] = queries.vectors
        names = world.lineages.names[-1]
        arrays[f"{kind}_species"] = np.array([names[at] for at in queries.species])
        arrays[f"{kind}_latitude"] = queries.seen.latitude
        arrays[f"{kind}_longitude"] = queries.seen.longitude
    np.savez(path, allow_pickle=False, **arrays)
