"""The tables `duplicate`, `duplicate_by_first` and `duplicate_rule`: photos that repeat another.

Identical files, and near-identical photos of a burst. All are kept; each is told by the photo that
it stands behind. One thread; memory follows the rows of one run of places, not of the bundle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from atlas.bundle.flags import Flag
from atlas.search.alike import BURST_KEY, IN_A_BURST, LEAST_COSINE, NEAR_ROWS, firsts_of_alike
from indexer.tables.images import CHUNK_ROWS

_COPY = int(Flag.DUPLICATE_PICTURE)
# A copy of a file is found by its checksum and takes no part in bursts: its original does.
_BURSTS = f"""
SELECT row_id, min(row_id) OVER burst AS burst FROM image
WHERE row_id BETWEEN ? AND ? AND {IN_A_BURST} AND flags & {_COPY} = 0
WINDOW burst AS (PARTITION BY {BURST_KEY}) QUALIFY count(*) OVER burst > 1 ORDER BY row_id
"""
# The last row with the taxon, cell and day of the last row up to a given one: a run is never cut.
_RUN_END = """
SELECT max(row_id) FROM image JOIN (SELECT taxon_id, cell, observed_from FROM image
    WHERE row_id BETWEEN $first AND $wanted ORDER BY row_id DESC LIMIT 1) AS edge
ON image.taxon_id = edge.taxon_id AND image.cell IS NOT DISTINCT FROM edge.cell
    AND image.observed_from IS NOT DISTINCT FROM edge.observed_from
WHERE row_id BETWEEN $first AND $last
"""
# Of the rows with one file, the catalog's flags leave one without the flag: the original. Where
# that stands behind another photo of its burst, so does the copy.
_DUPLICATES = f"""
WITH copy AS (SELECT row_id, media_sha256 FROM stored
        WHERE flags & {_COPY} <> 0 AND media_sha256 IS NOT NULL),
    original AS (SELECT media_sha256, min(row_id) AS row_id FROM stored
        WHERE flags & {_COPY} = 0 AND media_sha256 IN (SELECT media_sha256 FROM copy)
        GROUP BY media_sha256),
    behind AS (SELECT copy.row_id, coalesce(alike.first_row, original.row_id) AS first_row,
            'file' AS kind
        FROM copy JOIN original USING (media_sha256)
        LEFT JOIN alike ON alike.row_id = original.row_id
        UNION ALL SELECT row_id, first_row, 'burst' FROM alike)
SELECT row_id, first_row, kind FROM behind ORDER BY row_id
"""
_KNOWN = "SELECT 1 FROM information_schema.tables WHERE table_name = 'duplicate_rule'"


class BurstRule(msgspec.Struct, frozen=True, kw_only=True):
    """When photos of a burst are near-identical; `space` is the one that cosines are taken in."""

    space: str = ""
    least_cosine: float = LEAST_COSINE
    near_rows: int = NEAR_ROWS


class SegmentVectors(msgspec.Struct, frozen=True, kw_only=True):
    """The float16 unit vectors of one segment in the space of the rule: rows x dim."""

    path: Path
    first_row: int
    rows: int
    dim: int


def write_duplicates(
    connection: duckdb.DuckDBPyConnection, rule: BurstRule, segments: Sequence[SegmentVectors]
) -> None:
    """Write the three tables; `image` and the view `stored` are there.

    Without `segments` there are no vectors to compare: identical files only.
    """
    connection.execute("CREATE TEMP TABLE alike (row_id BIGINT, first_row BIGINT)")
    for segment in segments:
        for found in _alike(connection, rule, segment):
            connection.register("alike_arrow", found)
            connection.execute("INSERT INTO alike SELECT * FROM alike_arrow")
            connection.unregister("alike_arrow")
    connection.execute(f"CREATE TABLE duplicate AS {_DUPLICATES}")
    connection.execute(
        "CREATE TABLE duplicate_by_first AS "
        "SELECT first_row, row_id FROM duplicate ORDER BY first_row, row_id"
    )
    connection.execute(
        "CREATE TABLE duplicate_rule AS SELECT ? AS space, ?::DOUBLE AS least_cosine, "
        "?::INTEGER AS near_rows, count(DISTINCT first_row) AS groups, "
        "count(DISTINCT first_row) + count(*) AS rows FROM duplicate",
        [rule.space, rule.least_cosine, rule.near_rows],
    )
    connection.execute("DROP TABLE alike")


def rule_of(connection: duckdb.DuckDBPyConnection) -> BurstRule:
    """The rule that an open catalog was made with; the usual one where it is older than rules."""
    if not connection.execute(_KNOWN).fetchall():
        return BurstRule()
    found = connection.execute("SELECT space, least_cosine, near_rows FROM duplicate_rule")
    space, least_cosine, near_rows = found.fetchall()[0]
    return BurstRule(space=space, least_cosine=least_cosine, near_rows=near_rows)


def groups_in(catalog: Path) -> tuple[int, int]:
    """How many groups a catalog has, and how many photos are in them; none in an older one."""
    with duckdb.connect(str(catalog), read_only=True) as connection:
        if not connection.execute(_KNOWN).fetchall():
            return 0, 0
        ((groups, rows),) = connection.execute("SELECT groups, rows FROM duplicate_rule").fetchall()
        return groups, rows


def _alike(
    connection: duckdb.DuckDBPyConnection, rule: BurstRule, segment: SegmentVectors
) -> Iterator[pa.Table]:
    """The rows of a segment that stand behind another, run by run."""
    if segment.rows == 0:
        return
    vectors = np.memmap(segment.path, np.float16, mode="r", shape=(segment.rows, segment.dim))
    last = segment.first_row + segment.rows - 1
    first = segment.first_row
    while first <= last:
        bounds = {"first": first, "wanted": min(first + CHUNK_ROWS - 1, last), "last": last}
        ((end,),) = connection.execute(_RUN_END, bounds).fetchall()
        if end is None:  # all of these rows were removed
            first = bounds["wanted"] + 1
            continue
        listed = connection.execute(_BURSTS, [first, end]).fetchnumpy()
        row_ids = np.asarray(listed["row_id"], np.int64)
        firsts = firsts_of_alike(
            row_ids,
            np.asarray(listed["burst"], np.int64),
            vectors,
            segment.first_row,
            near_rows=rule.near_rows,
            least_cosine=rule.least_cosine,
        )
        behind = firsts != row_ids
        yield pa.table({"row_id": row_ids[behind], "first_row": firsts[behind]})
        first = end + 1
