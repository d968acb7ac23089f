"""Joins the four tables of iNaturalist Open Data into one of photos, in the source's own folder.

Their order is any, they are packed, and they are larger than memory: DuckDB joins and sorts them,
and spills what it cannot hold. Knows the columns of the dumps
(https://github.com/inaturalist/inaturalist-open-data), not what a record is. One process at a time.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.files import atomic_path
from atlas.errors import PlanError
from indexer.records import RejectReason, uuid_texts
from indexer.sources.inat_names import OBSERVERS_QUERY, taxa_query, write_named
from indexer.sources.input_file import stamp_of
from indexer.sources.text_columns import whole
from indexer.work import INGEST_MEMORY, open_database, quoted
from indexer.written import WrittenFiles, taken_over

# Raised by hand when a change of the code joins the same tables to other rows.
_VERSION = 2
_GROUP_ROWS = 65_536
TABLES = {
    "observations": (
        "observation_uuid",
        "observer_id",
        "latitude",
        "longitude",
        "positional_accuracy",
        "taxon_id",
        "observed_on",
    ),
    "photos": ("photo_id", "extension", "observation_uuid", "observer_id", "license"),
    "taxa": ("taxon_id", "ancestry", "rank", "name"),
    "observers": ("observer_id", "login", "name"),
}
"""The tables, and the columns of each that are read."""
_ENDS = (".csv.gz", ".csv")
# What DuckDB calls a row that is not UTF-8; every other fault is one of columns.
_UNDECODABLE = "INVALID ENCODING"


class Dumps(NamedTuple):
    """The tables' files by name, and their state."""

    files: dict[str, Path]
    stamp: str


class Joined(NamedTuple):
    """Photos with their observations, rows that cannot be read, and what the ids in them mean."""

    photos: Path
    refused: Path
    taxa: Path
    observers: Path


def dumps_in(folder: Path) -> Dumps:
    """The tables of a folder. Raises PlanError where one is missing or lacks a column."""
    files = {}
    for name, columns in TABLES.items():
        found = [folder / f"{name}{end}" for end in _ENDS if (folder / f"{name}{end}").is_file()]
        if not found:
            raise PlanError(folder, f"has no {name}.csv.gz")
        header = header_of(found[0])
        missing = [column for column in columns if column not in header]
        if missing:
            raise PlanError(found[0], f"has no column {missing[0]!r}", 1)
        files[name] = found[0]
    return Dumps(files, " ".join(stamp_of(file) for file in files.values()))


def header_of(file: Path) -> list[str]:
    """Names of the columns of a table. Raises PlanError where the file is damaged."""
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as opened:
            return opened.readline(1 << 20).decode().rstrip("\r\n").split("\t")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise PlanError(file, f"is not a readable table: {error}") from error


def join(dumps: Dumps, ranks: Sequence[str], scratch: Path) -> Joined:
    """Write the joined tables into `scratch`, unless they are there as they were written.

    One row is one photo, or an observation without one; `photo_id` and `observed` say what is
    missing. Rows are in the order of their photo ids. Raises PlanError where a table is damaged.
    """
    state = repr((_VERSION, dumps.stamp, tuple(ranks)))
    name = hashlib.sha256(state.encode()).hexdigest()[:16]
    made = Joined(
        photos=scratch / f"{name}.photos.parquet",
        refused=scratch / f"{name}.refused.parquet",
        taxa=scratch / f"{name}.taxa.arrow",
        observers=scratch / f"{name}.observers.arrow",
    )
    if all(map(taken_over(scratch).is_whole, made)):
        return made
    # An older state is of no use, and large.
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    written = WrittenFiles(scratch)
    with written.noting(), open_database(scratch, memory=INGEST_MEMORY) as connection:
        try:
            for table, file in dumps.files.items():
                connection.execute(_view(table, file))
            write_named(connection, taxa_query(ranks), made.taxa)
            write_named(connection, OBSERVERS_QUERY, made.observers)
            with atomic_path(made.photos) as path:
                _copy(connection, _photos(), path)
            with atomic_path(made.refused) as path:
                _copy(connection, _refused(dumps), path)
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise PlanError(dumps.files["photos"].parent, f"cannot be joined: {first}") from error
    return made


def _view(table: str, file: Path) -> str:
    """A table as text; rows that cannot be read go to DuckDB's table of rejects."""
    kinds = ", ".join(f"{quoted(column)}: 'VARCHAR'" for column in header_of(file))
    return (
        f"CREATE VIEW {table} AS SELECT * FROM read_csv({quoted(file)}, delim = '\\t', "
        "quote = '', escape = '', header = true, auto_detect = false, ignore_errors = true, "
        f"store_rejects = true, rejects_limit = 0, columns = {{{kinds}}})"
    )


def _photos() -> str:
    """Photos with their observations, as numbers, days and UUIDs wherever their text is plain.

    What is typed is joined, sorted and written in half the time and space of text. A text that is
    not the plain form of a value stands beside it, in a column that ends in `_text`.
    """
    photo = ", ".join(map(_typed, ("photo_id", "observation_uuid")))
    observed = ("observation_uuid", "latitude", "longitude", "positional_accuracy", "observed_on")
    observation = ", ".join(map(_typed, observed))
    return (
        f"WITH photo AS (SELECT {photo}, {_KEY} AS key, extension, license, "
        f"{_id('observer_id')} AS author_id FROM photos), "
        f"observation AS (SELECT {observation}, {_KEY} AS key, "
        f"{_id('taxon_id')} AS taxon_id, {_id('observer_id')} AS observer_id FROM observations) "
        "SELECT photo_id, photo_id_text, extension, license, "
        "CASE WHEN photo.key IS NULL THEN observation.observation_uuid "
        "ELSE photo.observation_uuid END AS observation_uuid, "
        "coalesce(photo.observation_uuid_text, observation.observation_uuid_text) "
        "AS observation_uuid_text, observation.key IS NOT NULL AS observed, "
        "latitude, latitude_text, longitude, longitude_text, positional_accuracy, "
        "positional_accuracy_text, observed_on, observed_on_text, taxon_id, author_id, observer_id "
        "FROM photo FULL OUTER JOIN observation ON photo.key = observation.key "
        "ORDER BY photo_id, photo_id_text, observation_uuid, observation_uuid_text, "
        "extension, license"
    )


class _Plain(NamedTuple):
    """The type of a column, and SQL for whether a text is the plain form of its `{value}`."""

    kind: str
    condition: str


# DuckDB reads more as a number than Darwin Core does: `1_000`, `+-6`, infinity.
_DECIMAL = _Plain(
    "DOUBLE", "isfinite({value}) AND NOT contains({text}, '_') AND NOT contains({text}, '+')"
)
_UUID = _Plain("UUID", "{value}::VARCHAR = {text}")
_PLAIN = {
    "photo_id": _Plain(
        "BIGINT", "{value}::VARCHAR = {text} AND {value} BETWEEN 1 AND 999999999999999999"
    ),
    "observation_uuid": _UUID,
    "latitude": _DECIMAL,
    "longitude": _DECIMAL,
    "positional_accuracy": _DECIMAL,
    # Not a day before our era, and not infinity, which are written as they are read too.
    "observed_on": _Plain("DATE", "{value}::VARCHAR = {text} AND length({text}) = 10"),
}


def _typed(column: str) -> str:
    """The column as a value, and its text where that is not the plain form of one."""
    value = _value(column)
    return f"{value} AS {column}, CASE WHEN {value} IS NULL THEN {column} END AS {column}_text"


def _value(column: str) -> str:
    kind, condition = _PLAIN[column]
    value = f"TRY_CAST({column} AS {kind})"
    return f"CASE WHEN {condition.format(value=value, text=column)} THEN {value} END"


def _id(column: str) -> str:
    """An id of a taxon or an observer, which are whole numbers; NULL for anything else.

    Cast here and not by the reader of the table, which stops at bytes that are not UTF-8.
    """
    return f"TRY_CAST(nullif({column}, '') AS BIGINT)"


# Photos and observations meet by UUID; one that is none is as good for it as its checksum.
_KEY = f"coalesce({_value('observation_uuid')}, md5(observation_uuid)::UUID)"


def _refused(dumps: Dumps) -> str:
    """The rows that cannot be read: once for each, however often its table was read."""
    name = " ".join(
        f"WHEN {quoted(file)} THEN {quoted(file.name)}" for file in dumps.files.values()
    )
    return (
        f"SELECT CASE file_path {name} END AS file, line, "
        f"CASE min(error_type::VARCHAR) WHEN '{_UNDECODABLE}' "
        f"THEN '{RejectReason.TEXT_UNDECODABLE}' ELSE '{RejectReason.RAGGED_ROW}' END AS reason, "
        "min(error_message) AS detail FROM (SELECT DISTINCT file_path, line, error_type, "
        "error_message FROM reject_errors JOIN reject_scans USING (scan_id, file_id)) "
        "GROUP BY file_path, line ORDER BY file, line"
    )


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(
        f"COPY ({query}) TO {quoted(path)} "
        f"(FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE {_GROUP_ROWS})"
    )


def values_of(photos: pa.Table, column: str) -> pa.Array:
    """A typed column of the joined photos; as text where some of its texts are no plain values."""
    if photos[f"{column}_text"].null_count == photos.num_rows:
        return whole(photos[column])
    return texts_of(photos, column)


def texts_of(photos: pa.Table, column: str) -> pa.Array:
    """A typed column of the joined photos as text, "" for null."""
    values, texts = whole(photos[column]), whole(photos[f"{column}_text"])
    if pa.types.is_fixed_size_binary(values.type):
        number = values.fill_null(bytes(16))
        at = number.offset * 16
        held = np.frombuffer(number.buffers()[1], np.uint8)[at : at + 16 * len(number)]
        written = pc.if_else(values.is_valid(), uuid_texts(held.reshape(-1, 16)), "")
    else:
        written = values.cast(pa.string()).fill_null("")
    return (
        written if texts.null_count == len(texts) else pc.if_else(texts.is_valid(), texts, written)
    )
