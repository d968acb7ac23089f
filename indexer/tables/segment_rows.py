"""Rows of a segment gathered from the parts in which they lie, in the segment's order.

Every part is read once, front to back, and its rows are laid out in stretches of the segment; then
each stretch is put in order in memory. So memory follows neither the parts nor the segment. Parts
and stretches are worked on by a few threads.
"""

from __future__ import annotations

import itertools
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.files import atomic_path
from indexer.work import ROW_GROUP_ROWS, PartFiles

# A stretch is held twice while it is put in order: 500 bytes a row make 130 MB of it.
_STRETCH_ROWS = 2 * ROW_GROUP_ROWS
_THREADS = 2
# Values that never repeat get no dictionary.
_UNIQUE = frozenset(
    {"row_id", "image_id", "occurrence_id", "reference_url", "media_url", "media_sha256"}
)

Item = TypeVar("Item")
Result = TypeVar("Result")
Numbers = npt.NDArray[np.int64]


class Placed(NamedTuple):
    """Where each row of a segment comes from, in its order, (rows,), and what is added to it."""

    part: npt.NDArray[np.int32]
    position: Numbers
    row_id: Numbers
    taxon_id: npt.NDArray[np.int32]
    name_id: npt.NDArray[np.int32]
    flags: npt.NDArray[np.int32]


def write_rows(
    parts: Sequence[PartFiles],
    placed: Placed,
    names: pa.Table,
    columns: Sequence[str],
    *,
    scratch: Path,
    path: Path,
) -> None:
    """Write a segment's rows: row and taxon ids, `columns`, and flags.

    Columns of `names` are looked up in it by `placed.name_id`, which costs less than to carry them;
    the others are those of the parts. `placed.flags` are added to the flags of the parts. `scratch`
    holds the rows on their way.
    """
    stretches = max(1, -(-len(placed.part) // _STRETCH_ROWS))
    folder = scratch / "stretches"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    read = [*(name for name in columns if name not in names.column_names), "flags"]
    given = pq.read_schema(parts[0].records)
    schema = pa.schema([(name, given.field(name).type) for name in read])
    files = [folder / f"{number}.arrow" for number in range(stretches)]
    with ThreadPoolExecutor(_THREADS, "rows") as pool:
        _lay_out(pool, parts, placed, schema, files)
        _put_in_order(pool, placed, names, columns, files, path)
    shutil.rmtree(folder)


def _lay_out(
    pool: ThreadPoolExecutor,
    parts: Sequence[PartFiles],
    placed: Placed,
    schema: pa.Schema,
    files: Sequence[Path],
) -> None:
    """Write the rows of each part to the stretches in which they belong."""
    from_part = np.argsort(placed.part, kind="stable")
    bounds = np.searchsorted(placed.part[from_part], np.arange(len(parts) + 1))
    wanted = [
        (part, from_part[bounds[number] : bounds[number + 1]])
        for number, part in enumerate(parts)
        if bounds[number] < bounds[number + 1]
    ]

    def rows_of(item: tuple[PartFiles, Numbers]) -> list[tuple[int, pa.Table]]:
        part, destination = item
        table = pq.read_table(part.records, columns=schema.names, use_threads=False)
        # In one piece, or each stretch would take its rows out of many.
        whole = table.cast(schema).combine_chunks()
        rows = whole.take(pa.array(placed.position[destination]))
        rows = rows.append_column(_DESTINATION, pa.array(destination))
        ends = np.searchsorted(destination, np.arange(len(files) + 1) * _STRETCH_ROWS)
        return [
            (number, rows.slice(begin, end - begin))
            for number, (begin, end) in enumerate(itertools.pairwise(ends.tolist()))
            if begin < end
        ]

    with ExitStack() as stack:
        writers = [
            stack.enter_context(pa.ipc.new_file(str(file), schema.append(_DESTINATION)))
            for file in files
        ]
        for pieces in _ahead(pool, rows_of, wanted):
            for number, rows in pieces:
                writers[number].write_table(rows)


_DESTINATION = pa.field("destination", pa.int64())


def _put_in_order(
    pool: ThreadPoolExecutor,
    placed: Placed,
    names: pa.Table,
    columns: Sequence[str],
    files: Sequence[Path],
    path: Path,
) -> None:
    """Write each stretch in its order, and forget it."""
    given = pa.ipc.open_file(str(files[0])).schema
    held = {field.name: field.type for field in (*given, *names.schema)}
    stored = pa.schema(
        [("row_id", pa.int64()), ("taxon_id", pa.int32())]
        + [(name, held[name]) for name in (*columns, "flags")]
    )

    def in_order(number: int) -> pa.Table:
        first = number * _STRETCH_ROWS
        with pa.memory_map(str(files[number])) as file:
            rows = pa.ipc.open_file(file).read_all().combine_chunks()
            rows = rows.take(pa.array(np.argsort(rows["destination"].to_numpy())))
        files[number].unlink()
        own = slice(first, first + rows.num_rows)
        named = names.take(pa.array(placed.name_id[own]))
        flags = rows["flags"].to_numpy() | placed.flags[own]
        values = [placed.row_id[own], placed.taxon_id[own]]
        values += [(named if name in names.column_names else rows)[name] for name in columns]
        return pa.table([*values, flags], schema=stored)

    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(
            temporary,
            stored,
            compression="zstd",
            use_dictionary=[name for name in stored.names if name not in _UNIQUE],
        ) as writer,
    ):
        for rows in _ahead(pool, in_order, range(len(files))):
            writer.write_table(rows, ROW_GROUP_ROWS)


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Sequence[Item] | range
) -> Iterator[Result]:
    """Results in the order of the items, two of them in the making while one is used."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))  # type: ignore[arg-type]
        if len(waiting) > _THREADS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
