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

from atlas.bundle.files import atomic_path
from atlas.errors import PlanError
from indexer.records import RejectReason
from indexer.sources.input_file import stamp_of
from indexer.work import open_database

# Raised by hand when a change of the code joins the same tables to other rows.
_VERSION = 1
_GROUP_ROWS = 65_536
TABLES = {
    "observations": (
        "observation_uuid",
        "observer_id",
        "latitude",
        "longitude",
        "positional_accuracy",
        "taxon_id",
        "quality_grade",
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
    """The photos with their observations, and the rows of the tables that cannot be read."""

    photos: Path
    refused: Path


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
    """Write the joined tables into `scratch`, where they are not there already.

    One row is one photo, or an observation without one; `photo_id` and `observed` say what is
    missing. Rows are in the order of their photo ids. Raises PlanError where a table is damaged.
    """
    state = repr((_VERSION, dumps.stamp, tuple(ranks)))
    name = hashlib.sha256(state.encode()).hexdigest()[:16]
    made = Joined(scratch / f"{name}.photos.parquet", scratch / f"{name}.refused.parquet")
    if made.photos.is_file() and made.refused.is_file():
        return made
    # An older state is of no use, and large.
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    with open_database(scratch) as connection:
        try:
            for table, file in dumps.files.items():
                connection.execute(_view(table, file))
            _write_taxa(connection, ranks)
            with atomic_path(made.photos) as path:
                _copy(connection, _photos(ranks), path)
            with atomic_path(made.refused) as path:
                _copy(connection, _refused(dumps), path)
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise PlanError(dumps.files["photos"].parent, f"cannot be joined: {first}") from error
    return made


def _view(table: str, file: Path) -> str:
    """A table as text; rows that cannot be read go to DuckDB's table of rejects."""
    kinds = ", ".join(f"{_quoted(column)}: 'VARCHAR'" for column in header_of(file))
    return (
        f"CREATE VIEW {table} AS SELECT * FROM read_csv({_quoted(str(file))}, delim = '\\t', "
        "quote = '', escape = '', header = true, auto_detect = false, ignore_errors = true, "
        f"store_rejects = true, rejects_limit = 0, columns = {{{kinds}}})"
    )


def _write_taxa(connection: duckdb.DuckDBPyConnection, ranks: Sequence[str]) -> None:
    """`lineage`: of each taxon its name, and the names of those above it by rank.

    Inactive taxa stay: observations carry them. Ancestry is written with either kind of slash.
    """
    connection.execute("CREATE TEMP TABLE taxon AS SELECT * FROM taxa")
    names = ", ".join(
        f"max(above.name) FILTER (WHERE above.rank = {_quoted(rank)}) AS {_column(rank)}"
        for rank in ranks
    )
    connection.execute(
        "CREATE TEMP TABLE lineage AS WITH step AS (SELECT taxon_id, "
        "unnest(string_split(replace(coalesce(ancestry, ''), '\\', '/'), '/') || [taxon_id]) "
        f"AS above_id FROM taxon) SELECT step.taxon_id, {names} FROM step "
        "JOIN taxon AS above ON above.taxon_id = step.above_id GROUP BY step.taxon_id"
    )


def _photos(ranks: Sequence[str]) -> str:
    lineage = ", ".join(f"lineage.{_column(rank)}" for rank in ranks)
    return (
        "SELECT photo_id, extension, license, coalesce(photos.observation_uuid, "
        "observations.observation_uuid) AS observation_uuid, "
        "observations.observation_uuid IS NOT NULL AS observed, latitude, longitude, "
        "positional_accuracy, quality_grade, observed_on, taxon.name AS taxon_name, "
        f"{lineage}, coalesce(nullif(trim(author.name), ''), author.login) AS author, "
        "coalesce(nullif(trim(seer.name), ''), seer.login) AS observer "
        "FROM photos FULL OUTER JOIN observations "
        "ON photos.observation_uuid = observations.observation_uuid "
        "LEFT JOIN taxon ON taxon.taxon_id = observations.taxon_id "
        "LEFT JOIN lineage ON lineage.taxon_id = observations.taxon_id "
        "LEFT JOIN observers AS author ON author.observer_id = photos.observer_id "
        "LEFT JOIN observers AS seer ON seer.observer_id = observations.observer_id "
        "ORDER BY TRY_CAST(photo_id AS BIGINT), photo_id, observation_uuid, extension, license"
    )


def _refused(dumps: Dumps) -> str:
    """The rows that cannot be read: once for each, however often its table was read."""
    name = " ".join(
        f"WHEN {_quoted(str(file))} THEN {_quoted(file.name)}" for file in dumps.files.values()
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
        f"COPY ({query}) TO {_quoted(str(path))} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_GROUP_ROWS})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _column(rank: str) -> str:
    """A rank's column; ranks may be any words, `order` included."""
    return '"rank ' + rank.replace('"', '""') + '"'
