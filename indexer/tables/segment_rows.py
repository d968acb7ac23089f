"""Rows of a segment gathered from the parts in which they lie, in the segment's order.

Every part is read once, front to back, and its rows are laid out in stretches of the segment; then
each stretch is put in order in memory. So memory follows neither the parts nor, but for twelve
bytes a row, the segment. Parts and stretches are worked on by a few threads.
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

from atlas.bundle.files import naming
from atlas.bundle.flags import Flag
from indexer.sources.parquet_table import read_rows
from indexer.work import ROW_GROUP_ROWS, PartFiles, parquet_writer

# A stretch is held twice while it is put in order: 500 bytes a row make 130 MB of it.
_STRETCH_ROWS = 2 * ROW_GROUP_ROWS
_THREADS = 2
_DESTINATION = pa.field("destination", pa.int32())

Item = TypeVar("Item")
Result = TypeVar("Result")
Numbers = npt.NDArray[np.int32]


class OrderedRows(NamedTuple):
    """A run of the rows of an order, as the sort stage writes it: those of one segment.

    `names` is the file of the names that the order's rows have by `name_id`. `first_row` is the
    run's first row id.
    """

    order: Path
    names: Path
    first_row: int
    rows: int

    @property
    def stretches(self) -> int:
        """How many stretches there are; one where there are no rows."""
        return max(1, -(-self.rows // _STRETCH_ROWS))

    def stretch(self, number: int, columns: Sequence[str]) -> pa.Table:
        """Columns of the order in one stretch."""
        first = number * _STRETCH_ROWS
        return read_rows(
            self.order,
            first_row=self._skipped + first,
            rows=min(_STRETCH_ROWS, self.rows - first),
            columns=columns,
        )

    def places(self) -> tuple[Numbers, Numbers]:
        """Part and position of each row, int32 (rows,)."""
        part, position = np.empty(self.rows, np.int32), np.empty(self.rows, np.int32)
        for number in range(self.stretches if self.rows else 0):
            found = self.stretch(number, ["part", "position"])
            own = slice(number * _STRETCH_ROWS, number * _STRETCH_ROWS + found.num_rows)
            part[own], position[own] = found["part"].to_numpy(), found["position"].to_numpy()
        return part, position

    @property
    def _skipped(self) -> int:
        """Rows of the order before the run: row ids need not begin with 0."""
        (first,) = read_rows(self.order, first_row=0, rows=1, columns=["row_id"])["row_id"]
        return self.first_row - int(first.as_py())


def write_rows(
    parts: Sequence[PartFiles],
    ordered: OrderedRows,
    columns: Sequence[str],
    *,
    scratch: Path,
    path: Path,
    progress: Callable[[int], None],
) -> None:
    """Write a segment's rows: row and taxon ids, `columns`, and flags.

    Names are looked up by `name_id`, which costs less than to carry them; the other columns are
    those of the parts. `scratch` holds the rows on their way. `progress` is told rows as they are
    written.
    """
    folder = scratch / "stretches"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = pq.read_table(ordered.names).combine_chunks()
    given = pq.read_schema(parts[0].records)
    read = [*(name for name in columns if name not in names.column_names), "flags"]
    schema = pa.schema([(name, given.field(name).type) for name in read])
    files = [folder / f"{number}.arrow" for number in range(ordered.stretches)]
    with ThreadPoolExecutor(_THREADS, "rows") as pool:
        _lay_out(pool, parts, ordered, schema, files)
        _put_in_order(pool, ordered, names, columns, files, path, progress)
    shutil.rmtree(folder)


def _lay_out(
    pool: ThreadPoolExecutor,
    parts: Sequence[PartFiles],
    ordered: OrderedRows,
    schema: pa.Schema,
    files: Sequence[Path],
) -> None:
    """Write the rows of each part to the stretches in which they belong."""
    part_of, position_of = ordered.places()
    by_part, bounds = _by_part(part_of, len(parts))
    del part_of
    wanted = [
        (part, by_part[begin:end])
        for part, (begin, end) in zip(parts, itertools.pairwise(bounds), strict=True)
        if begin < end
    ]

    def rows_of(item: tuple[PartFiles, Numbers]) -> list[tuple[int, pa.Table]]:
        part, destination = item
        table = pq.read_table(part.records, columns=schema.names, use_threads=False)
        # In one piece, or each stretch would take its rows out of many.
        whole = table.cast(schema).combine_chunks()
        rows = whole.take(pa.array(position_of[destination]))
        rows = rows.append_column(_DESTINATION, pa.array(destination))
        ends = np.searchsorted(destination, np.arange(len(files) + 1) * _STRETCH_ROWS)
        return [
            (number, rows.slice(begin, end - begin))
            for number, (begin, end) in enumerate(itertools.pairwise(ends.tolist()))
            if begin < end
        ]

    with ExitStack() as stack:
        writers = [_stretch_writer(stack, file, schema.append(_DESTINATION)) for file in files]
        for pieces in _ahead(pool, rows_of, wanted):
            for number, rows in pieces:
                with naming(files[number]):
                    writers[number].write_table(rows)


def _by_part(part_of: Numbers, parts: int) -> tuple[Numbers, list[int]]:
    """The rows sorted by part, stably, int32 (rows,), and where each part begins and the last ends.

    A stretch at a time: sorted at once, ten million rows take 80 MB beside the result.
    """
    ends = np.cumsum(np.bincount(part_of, minlength=parts))
    bounds = [0, *ends.tolist()]
    by_part = np.empty(len(part_of), np.int32)
    free = np.array(bounds[:-1], np.int64)
    for start in range(0, len(part_of), _STRETCH_ROWS):
        here = part_of[start : start + _STRETCH_ROWS]
        order = np.argsort(here, kind="stable")
        counts = np.bincount(here, minlength=parts)
        # Rows of a part lie together in `order`, and go where those of earlier stretches end.
        first = np.cumsum(counts) - counts
        by_part[np.repeat(free - first, counts) + np.arange(len(here))] = order + start
        free += counts
    return by_part, bounds


def _stretch_writer(stack: ExitStack, file: Path, schema: pa.Schema) -> pa.RecordBatchFileWriter:
    """A writer that the stack closes: the file's end is only written then, and may not fit."""
    stack.enter_context(naming(file))
    return stack.enter_context(pa.ipc.new_file(str(file), schema))


def _put_in_order(
    pool: ThreadPoolExecutor,
    ordered: OrderedRows,
    names: pa.Table,
    columns: Sequence[str],
    files: Sequence[Path],
    path: Path,
    progress: Callable[[int], None],
) -> None:
    """Write each stretch in its order, and forget it."""
    given = pa.ipc.open_file(str(files[0])).schema
    held = {field.name: field.type for field in (*given, *names.schema)}
    stored = pa.schema(
        [("row_id", pa.int64()), ("taxon_id", pa.int32())]
        + [(name, held[name]) for name in (*columns, "flags")]
    )

    def in_order(number: int) -> pa.Table:
        with pa.memory_map(str(files[number])) as file:
            rows = pa.ipc.open_file(file).read_all().combine_chunks()
            rows = rows.take(pa.array(np.argsort(rows["destination"].to_numpy())))
        files[number].unlink()
        if not rows.num_rows:
            return stored.empty_table()
        order = ordered.stretch(number, _OF_ORDER)
        named = names.take(order["name_id"])
        values = [order["row_id"], order["taxon_id"]]
        values += [(named if name in names.column_names else rows)[name] for name in columns]
        return pa.table(
            [*values, _flags(rows["flags"].to_numpy(), order)], schema=stored
        ).combine_chunks()

    with parquet_writer(path, stored) as writer:
        for rows in _ahead(pool, in_order, range(len(files))):
            writer.write_table(rows, ROW_GROUP_ROWS)
            progress(rows.num_rows)


_REPEATS = {
    "copy_of_earlier": Flag.DUPLICATE_PICTURE,
    "repeat_of_earlier": Flag.DUPLICATE_RECORD,
}
_OF_ORDER = ("row_id", "taxon_id", "name_id", *_REPEATS)


def _flags(own: Numbers, order: pa.Table) -> Numbers:
    """Flags of records, and of those whose picture or record came in an earlier row."""
    flags = own.astype(np.int32)
    for column, flag in _REPEATS.items():
        flags[order[column].to_numpy()] |= np.int32(flag)
    return flags


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Result]:
    """Results in the order of the items, two of them in the making while one is used."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > _THREADS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
