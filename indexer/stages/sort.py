"""Sort stage: embedded parts in, the rows of every segment out, in (taxon, cell, day) order.

Numbers the taxa in preorder, refuses an image that came twice, marks a picture whose bytes came
twice and a record that repeats another, and gathers vectors and pictures from the parts into their
segment. Works out of core: DuckDB orders what rows are compared by, and `indexer.tables` gathers
rows and vectors piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
from pyroaring import BitMap

from atlas.bundle.files import atomic_write
from atlas.bundle.flags import HIDDEN_PLACE
from atlas.bundle.segment import ROWS, TOMBSTONES
from atlas.species.taxa import TaxonTree
from indexer.records import REJECT_SCHEMA, RejectReason
from indexer.tables.numbered_taxa import number_names, write_taxa
from indexer.tables.segment_media import write_media
from indexer.tables.segment_places import write_place_order
from indexer.tables.segment_rows import OrderedRows, write_rows
from indexer.tables.sort_keys import NAMES, read_keys
from indexer.work import (
    ORDER_MEMORY,
    PartFiles,
    batches_of,
    open_database,
    quoted_list,
    write_batches,
)

ORDER_SCHEMA = pa.schema(
    [
        ("row_id", pa.int64()),
        ("part", pa.int32()),
        ("position", pa.int64()),
        ("taxon_id", pa.int32()),
        ("name_id", pa.int32()),
        ("copy_of_earlier", pa.bool_()),
        ("repeat_of_earlier", pa.bool_()),
    ]
)
NAMES_OF_ROWS_SCHEMA = pa.schema(
    [
        ("lineage", pa.list_(pa.string())),
        ("scientific_name", pa.string()),
        ("common_name", pa.string()),
    ]
)
SORT_STEPS = 4
_COPIED = (
    "image_id",
    "occurrence_id",
    "scientific_name",
    "lineage",
    "common_name",
    "cell",
    "latitude",
    "longitude",
    "uncertainty_m",
    "observed_from",
    "observed_to",
    "observer",
    "basis_of_record",
    "dataset_key",
    "licence",
    "media_licence",
    "rights_holder",
    "reference_url",
    "media_url",
    "media_type",
    "media_sha256",
    "source_key",
)


class SegmentSlice(msgspec.Struct, frozen=True):
    """Rows `first_row` to `first_row + rows - 1` make one segment."""

    name: str
    first_row: int
    rows: int


class Sorted(msgspec.Struct, frozen=True, kw_only=True):
    """What the ordering found: rows kept, rows refused as duplicates."""

    rows: int
    duplicates: int


def open_parts(parts: Sequence[PartFiles], scratch: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection whose view `incoming` is every record with its part and position.

    `scratch` is where DuckDB may spill. The view's order is that of the parts.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    connection = open_database(scratch, memory=ORDER_MEMORY)
    names = [str(part.records) for part in parts]
    numbers = pa.array(range(len(names)), pa.int32())
    connection.register("part", pa.table({"part": numbers, "filename": names}))
    stems = [part.records.stem for part in parts]
    connection.register("part_names", pa.table({"number": numbers, "name": stems}))
    connection.execute(
        f"CREATE VIEW incoming AS SELECT part.part, records.file_row_number AS position, records.* "
        f"FROM read_parquet({quoted_list(names)}, filename = true, file_row_number = true) "
        "AS records JOIN part USING (filename)"
    )
    return connection


def order_rows(
    parts: Sequence[PartFiles],
    ranks: Sequence[str],
    *,
    scratch: Path,
    order: Path,
    taxa: Path,
    names: Path,
    duplicates: Path,
    progress: Callable[[int], None] = lambda _steps: None,
) -> Sorted:
    """Number the taxa, order the rows, and write order, taxa, names and duplicates.

    Beside the order lie the names that its rows have, by `name_id`: see `names_of_rows`.
    `progress` is called with 1 after each of `SORT_STEPS` steps.
    """
    with open_parts(parts, scratch) as connection:
        read_keys(connection, parts)
        progress(1)
        write_taxa(_assign_taxa(connection, ranks), taxa, names)
        progress(1)
        _find_repeats(connection)
        refused = _write_duplicates(connection, duplicates)
        progress(1)
        names_by_id = batches_of(
            connection, f"SELECT {', '.join(NAMES)} FROM name ORDER BY name_id"
        )
        write_batches(names_of_rows(order), NAMES_OF_ROWS_SCHEMA, names_by_id)
        kept = _write_order(connection, order)
        progress(1)
    return Sorted(rows=kept, duplicates=refused)


def names_of_rows(order: Path) -> Path:
    """The distinct names of the rows of an order, in the order of `name_id`."""
    return order.with_name("names-of-rows.parquet")


def _assign_taxa(connection: duckdb.DuckDBPyConnection, ranks: Sequence[str]) -> TaxonTree:
    """Build the tree, and the view `row` of all rows with their taxa."""
    tree = number_names(connection, ranks, "SELECT * FROM named")
    connection.execute(
        "CREATE TABLE name AS SELECT (row_number() OVER (ORDER BY taxon_id, lineage, "
        "scientific_name, common_name) - 1)::INTEGER AS name_id, * FROM (SELECT DISTINCT lineage, "
        "scientific_name, common_name, taxon_id FROM named "
        "JOIN assigned USING (lineage, scientific_name))"
    )
    connection.execute(
        "CREATE TABLE taxon_of AS SELECT named, name_id, taxon_id FROM named "
        "JOIN name USING (lineage, scientific_name, common_name)"
    )
    connection.execute(
        "CREATE VIEW arrived AS SELECT keyed.*, name_id, taxon_id FROM keyed "
        "JOIN taxon_of USING (named)"
    )
    return tree


def _find_repeats(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables `refused`, `copied` and `repeated` of part and position, and the view `kept`.

    Nearly all rows stand alone, which grouping finds out at a small part of the cost of putting
    them in order; only the others are.
    """
    connection.execute(
        "CREATE TABLE refused AS SELECT part, position FROM (SELECT part, position, row_number() "
        "OVER (PARTITION BY image_id ORDER BY part, position) AS turn FROM arrived SEMI JOIN "
        "(SELECT image_id FROM keyed GROUP BY image_id HAVING count(*) > 1) USING (image_id)) "
        "WHERE turn > 1"
    )
    connection.execute(
        "CREATE VIEW kept AS SELECT * FROM arrived ANTI JOIN refused USING (part, position)"
    )
    connection.execute(
        "CREATE TABLE copied AS SELECT part, position FROM (SELECT part, position, row_number() "
        "OVER (PARTITION BY media_sha256 ORDER BY part, position) AS turn FROM kept SEMI JOIN "
        "(SELECT media_sha256 FROM keyed WHERE media_sha256 IS NOT NULL GROUP BY media_sha256 "
        "HAVING count(*) > 1) USING (media_sha256)) WHERE turn > 1"
    )
    connection.execute(
        "CREATE TABLE repeated AS SELECT part, position FROM (SELECT part, position, record <> "
        "first_value(record) OVER (PARTITION BY taxon_id, seen ORDER BY part, position) AS repeats "
        "FROM kept SEMI JOIN (SELECT seen FROM keyed WHERE seen IS NOT NULL GROUP BY seen "
        "HAVING min(record) <> max(record)) USING (seen)) WHERE repeats"
    )


def _write_duplicates(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    reader = batches_of(
        connection,
        "SELECT source_key, part_names.name AS part, row, occurrence_id, CASE WHEN "
        f"flags & {int(HIDDEN_PLACE)} <> 0 THEN NULL ELSE media_ref END AS media_ref, "
        f"'sort' AS stage, '{RejectReason.DUPLICATE_IMAGE_ID}' AS reason, "
        "'image ' || image_id || ' came in an earlier row' AS detail "
        "FROM incoming SEMI JOIN refused USING (part, position) "
        "JOIN part_names ON part_names.number = incoming.part ORDER BY incoming.part, position",
    )
    return write_batches(path, REJECT_SCHEMA, (batch.cast(REJECT_SCHEMA) for batch in reader))


def _write_order(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    reader = batches_of(
        connection,
        "SELECT kept.part, kept.position, taxon_id, name_id, "
        "copied.part IS NOT NULL AS copy_of_earlier, "
        "repeated.part IS NOT NULL AS repeat_of_earlier FROM kept "
        "LEFT JOIN copied USING (part, position) LEFT JOIN repeated USING (part, position) "
        "ORDER BY taxon_id, cell NULLS LAST, observed_from NULLS LAST, image_id",
    )
    return write_batches(path, ORDER_SCHEMA, _numbered(reader))


def _numbered(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches with the number of each row in front."""
    first = 0
    for batch in reader:
        numbers = pa.array(np.arange(first, first + batch.num_rows))
        yield pa.record_batch([numbers, *batch.columns], schema=ORDER_SCHEMA)
        first += batch.num_rows


def cut_segments(rows: int, segment_rows: int, first_number: int) -> list[SegmentSlice]:
    """Cut the ordered rows into segments of nearly equal size, none above `segment_rows`."""
    count = max(1, -(-rows // segment_rows))
    bounds = [rows * i // count for i in range(count + 1)]
    return [
        SegmentSlice(f"{first_number + i:04d}", bounds[i], bounds[i + 1] - bounds[i])
        for i in range(count)
    ]


def write_segment(
    parts: Sequence[PartFiles],
    dims: dict[str, int],
    cut: SegmentSlice,
    *,
    order: Path,
    scratch: Path,
    folder: Path,
    hosts_pictures: bool,
    progress: Callable[[int], None],
) -> None:
    """Write one segment's rows, vectors, pictures and (empty) tombstones into `folder`.

    `progress` is told rows as they are finished: with the vectors of the last space, or, where
    there is none, with their metadata.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ordered = OrderedRows(order, names_of_rows(order), cut.first_row, cut.rows)
    if not (folder / ROWS).exists():
        write_rows(
            parts,
            ordered,
            _COPIED,
            scratch=scratch,
            path=folder / ROWS,
            progress=_unseen if dims else progress,
        )
    elif not dims:
        progress(cut.rows)
    write_place_order(folder)
    if dims or hosts_pictures:
        write_media(parts, dims, ordered, folder, hosts_pictures=hosts_pictures, progress=progress)
    if not (folder / TOMBSTONES).exists():
        atomic_write(folder / TOMBSTONES, BitMap().serialize())


def _unseen(rows: int) -> None:
    """Rows of which more is to be written."""
    del rows
