"""Makes the catalog that maps are measured on: seconds, memory and bytes of building it.

The rows are made up once for a folder; the catalog is built by the project's own stage in a process
of its own, while this one watches its memory.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import duckdb
import msgspec

from benchmarks.build import Peak, tree_cpu_seconds
from benchmarks.density import Density
from benchmarks.occurrence_tree import Tree, write_tree
from benchmarks.occurrences import FINEST, SOURCES, Occurrences, write_segments
from indexer.stages.catalog import STEPS, CatalogInput, SourceRow, write_catalog

Record = dict[str, Any]
CATALOG = "catalog.duckdb"
_BLOCK_BYTES = 262_144
# Tables that hold nothing else, beside the column of occurrence ids.
_IDENTIFIERS = ("image_stored_id", "image_key")


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in a folder of made-up rows, so that they are not made again."""

    rows: int
    seed: int
    taxa: int
    segments: tuple[str, ...]
    seconds: float


def make_rows(folder: Path, rows: int, seed: int, taxa: int, density: Density) -> Made:
    """Write the segments' rows and the taxa into `folder`, unless they are there."""
    note = folder / "made.json"
    if note.exists():
        made = msgspec.json.decode(note.read_bytes(), type=Made)
        if (made.rows, made.seed, made.taxa) == (rows, seed, taxa):
            return made
        raise click.ClickException(f"{folder} holds other rows; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    tree: Tree = write_tree(taxa, seed, folder / "taxa.parquet", folder / "names.parquet")
    paths = write_segments(Occurrences(rows, seed, tree, density), folder)
    made = Made(
        rows=rows,
        seed=seed,
        taxa=taxa,
        segments=tuple(path.name for path in paths),
        seconds=round(time.perf_counter() - started, 1),
    )
    note.write_bytes(msgspec.json.encode(made))
    return made


def build_catalog(folder: Path, made: Made) -> list[Record]:
    """Build the catalog anew; one record for each step and one for the whole."""
    (folder / CATALOG).unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe()
    process = context.Process(target=_build, args=(folder, made, sender))
    process.start()
    sender.close()
    assert process.pid is not None  # noqa: S101 - it was started
    peak, highest, records = Peak(process.pid), 0, []
    started = begun = time.perf_counter()
    busy_s = 0.0
    try:
        for case in ("sources", "images", "orders", "duplicates", "taxa", "occupancy", "total"):
            said = receiver.recv()
            if said != "step":
                raise click.ClickException(said)
            held, ended, used_s = peak.reset(), time.perf_counter(), tree_cpu_seconds(process.pid)
            highest = max(highest, held)
            whole = case == "total"
            records.append(
                {
                    "case": f"build: {case}",
                    "seconds": round(ended - (started if whole else begun), 1),
                    "cpu_seconds": round(used_s - (0.0 if whole else busy_s), 1),
                    "peak_rss_bytes": highest if whole else held,
                    "load": round(os.getloadavg()[1], 1),
                }
            )
            begun, busy_s = ended, used_s
        receiver.send("read")
    except EOFError:
        raise click.ClickException("the build ended without saying why") from None
    finally:
        peak.stop()
        receiver.close()
        process.join()
    return records


def _build(folder: Path, made: Made, pipe: Connection) -> None:
    given = CatalogInput(
        rows=tuple(folder / name for name in made.segments),
        taxa=folder / "taxa.parquet",
        names=folder / "names.parquet",
        sources=tuple(
            SourceRow(key=key, kind="made up", title=key, citation="", licence="CC0-1.0", url="")
            for key in SOURCES
        ),
        hosted_licences=(),
        finest=FINEST,
    )

    def step(done: int) -> None:
        for _ in range(done):
            pipe.send("step")

    try:
        write_catalog(given, folder / CATALOG, folder / "scratch", step)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        raise
    pipe.send("step")
    pipe.recv()  # stays until its processor time has been read


def size_records(catalog: Path, rows: int) -> list[Record]:
    """Bytes a row of the catalog by table, and in all without identifiers."""
    with duckdb.connect(str(catalog), read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
        bytes_of = {name: _column_bytes(connection, name) for (name,) in names}
        rows_of = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
            for name in bytes_of
        }
    records: list[Record] = [
        {
            "case": f"size: {name}",
            "table_rows": rows_of[name],
            "bytes_per_row": round(sum(columns.values()) / rows, 2),
            "columns": {column: round(held / rows, 2) for column, held in columns.items()},
        }
        for name, columns in bytes_of.items()
    ]
    whole = catalog.stat().st_size
    named = bytes_of["image"]["occurrence_id"]
    without = named + sum(sum(bytes_of[table].values()) for table in _IDENTIFIERS)
    records.append({"case": "size: file", "bytes_per_row": round(whole / rows, 2)})
    bare = round((whole - named) / rows, 2)
    records.append({"case": "size: without occurrence ids", "bytes_per_row": bare})
    # Blocks shared by small columns are counted with each, so the file less the identifiers.
    bare = round((whole - without) / rows, 2)
    records.append({"case": "size: without identifiers", "bytes_per_row": bare})
    return records


def _column_bytes(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, int]:
    """Bytes of each column: whole blocks, and of shared ones the part up to the next segment."""
    found = connection.execute(
        "WITH part AS (SELECT column_name, block_id, block_offset, additional_block_ids "
        "FROM pragma_storage_info(?) WHERE persistent AND block_id >= 0), "
        "sized AS (SELECT *, coalesce(lead(block_offset) OVER (PARTITION BY block_id ORDER BY "
        f"block_offset), {_BLOCK_BYTES}) - block_offset AS bytes FROM part) "
        "SELECT column_name, sum(bytes) + "
        f"sum(len(coalesce(additional_block_ids, []))) * {_BLOCK_BYTES} FROM sized GROUP BY ALL",
        [table],
    ).fetchall()
    return {name: int(held) for name, held in found}


assert STEPS == 6  # noqa: S101 - `build_catalog` names them
