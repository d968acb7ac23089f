"""Rows that a plan leaves out by a list of ids: refused as they are read, counted, none forgotten.

Knows ids, not why they are listed. Read from the plan once; any process may apply it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atlas.bundle.files import atomic_path, sha256_of
from atlas.bundle.flags import HIDDEN_PLACE
from atlas.errors import PlanError
from indexer.curation_sections import ExcludeSection
from indexer.parts import excluded_path
from indexer.plan import Plan
from indexer.progress import Watcher
from indexer.records import Reject, RejectReason, rejects_table
from indexer.sources.parquet_table import open_parquet
from indexer.sources.source import ReadPart
from indexer.work import WorkFolder

# The column of the records that holds what a plan's `by` names.
_COLUMNS = {"occurrence_id": "occurrence_id", "image_id": "image_id", "file": "media_ref"}
_MET_SCHEMA = pa.schema([("id", pa.string())])
# Ids that met no row and are named in the log; all of them stand in a file.
_NAMED = 5


class Exclusion(msgspec.Struct, frozen=True, kw_only=True):
    """The ids of a plan's list, each once, and the column of the records that they stand in.

    `digest` stands for all that follows from the list; `name` is that of its file.
    """

    ids: pa.StringArray
    column: str
    name: str
    digest: str

    def apply(self, read: ReadPart, part: str) -> tuple[ReadPart, pa.Table]:
        """What was read without the listed rows, which are rejects now; and the ids it met."""
        found = pc.is_in(read.records[self.column], value_set=self.ids)
        met = pa.table([pc.unique(read.records[self.column].filter(found))], schema=_MET_SCHEMA)
        if met.num_rows == 0:
            return read, met
        columns = ("source_key", "row", "occurrence_id", "media_ref", "flags")
        refused = [
            Reject(
                source_key=row["source_key"],
                part=part,
                row=row["row"],
                occurrence_id=row["occurrence_id"],
                # The name of a file may tell where a sensitive organism was found.
                media_ref=None if row["flags"] & HIDDEN_PLACE else row["media_ref"],
                stage="read",
                reason=RejectReason.EXCLUDED,
                detail=f"row {row['row']}: {self.name} leaves it out",
            )
            for row in read.records.filter(found).select(columns).to_pylist()
        ]
        kept = pc.invert(found)
        mask = kept.to_numpy()
        left = ReadPart(
            records=read.records.filter(kept),
            rejects=pa.concat_tables([read.rejects, rejects_table(refused)]),
            rows_in=read.rows_in,
            vectors={space: vectors[mask] for space, vectors in read.vectors.items()},
        )
        return left, met


def exclusion_of(plan: Plan) -> Exclusion | None:
    """The plan's list, None where it has none. Raises PlanError where it cannot be used."""
    section = plan.exclude
    if section.file is None:
        return None
    ids = _listed(section.file, section)
    said = [sha256_of(section.file), section.column, section.by]
    return Exclusion(
        ids=ids,
        column=_COLUMNS[section.by],
        name=section.file.name,
        digest=hashlib.sha256(msgspec.json.encode(said)).hexdigest(),
    )


def _listed(path: Path, section: ExcludeSection) -> pa.StringArray:
    with open_parquet(path) as file:
        names = file.schema_arrow.names
        if section.column not in names:
            raise PlanError(path, f"has no column {section.column!r}; it has: {', '.join(names)}")
        try:
            column = file.read([section.column])[section.column]
        except (OSError, pa.ArrowException) as error:
            raise PlanError(path, f"cannot be read: {error}") from error
    if not (pa.types.is_integer(column.type) or _is_text(column.type)):
        raise PlanError(path, f"column {section.column!r} holds {column.type}, not text or numbers")
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    empty = pc.index(pc.equal(pc.fill_null(text, ""), ""), value=True).as_py()
    if empty >= 0:
        raise PlanError(path, f"row {empty + 1} of column {section.column!r} is empty")
    if section.by == "image_id":
        text = pc.utf8_lower(text)
    return pc.unique(text)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def report_unmet(
    exclusion: Exclusion, work: WorkFolder, parts: Sequence[str], watcher: Watcher
) -> None:
    """Say how many of the ids met a row; the others are listed in a file of the work folder."""
    met = pa.concat_tables(
        [_MET_SCHEMA.empty_table()]
        + [pq.read_table(excluded_path(work.read, part), schema=_MET_SCHEMA) for part in parts]
    )
    left = exclusion.ids.filter(pc.invert(pc.is_in(exclusion.ids, value_set=met["id"])))
    path = work.root / "exclude-unmet.parquet"
    path.unlink(missing_ok=True)
    said = f"{exclusion.name}: {len(exclusion.ids) - len(left)} of {len(exclusion.ids)} ids met"
    if len(left):
        with atomic_path(path) as temporary:
            pq.write_table(pa.table({"id": left}), temporary)
        named = ", ".join(left.slice(0, _NAMED).to_pylist())
        more = ", …" if len(left) > _NAMED else ""
        said += f"; {len(left)} met no row ({named}{more}), all in {path}"
    watcher.note(said)
