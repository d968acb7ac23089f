"""Looks into sources before a build: what they hold, what is wrong, and what a build would cost.

Reads parts as a build does and writes nothing but what a source keeps in its own folder. Opens no
picture and loads no encoder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import FLAGS
from atlas.errors import PlanError
from indexer.plan import Plan
from indexer.plan_sections import (
    AtlasSection,
    DwcaSection,
    EmbeddingsSection,
    InatOpenDataSection,
    OutputSection,
    RecordsSection,
    SourceSettings,
    SpaceSection,
    TreeOfLifeSection,
)
from indexer.sources import Source, SourcePart, open_sources
from indexer.sources.input_file import names_in
from indexer.sources.parquet_table import column_names

# Rough, for two cores: a row read, sorted and put into the catalog; a picture taken through
# ViT-L/14 (155 GFLOP, at the hundred a second that two cores give); a row's bytes in the bundle.
_ROW_S = 40e-6
_PICTURE_S = 1.5
_ROW_BYTES = 260
_TABLES = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
_MOST_LISTED = 12


class SourceInspection(msgspec.Struct, frozen=True, kw_only=True):
    """What one source holds.

    Counts of licences, flags and reasons are those of the rows that were read, `rows_read` of
    about `rows`; `filled` gives for each column the rows that say something.
    """

    key: str
    kind: str
    citation: str
    rows: int
    rows_read: int
    records: int
    rejects: dict[str, int]
    examples: dict[str, str]
    filled: dict[str, int]
    licences: dict[str, int]
    media_licences: dict[str, int]
    bbox: tuple[float, float, float, float] | None
    first_day: str | None
    last_day: str | None
    flags: dict[str, int]


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """All sources, the estimate of a build, and why it cannot be made; "" where it can."""

    sources: tuple[SourceInspection, ...]
    build_s: float
    size_bytes: int
    problem: str


def plan_of_file(path: Path, scratch: Path) -> Plan:
    """A plan that would build what lies at `path`. Raises PlanError where it is no source."""
    source = _source_at(path)
    spaces: tuple[SpaceSection, ...] = ()
    if isinstance(source, EmbeddingsSection):
        spaces = (SpaceSection(name="vectors"),)
    elif isinstance(source, TreeOfLifeSection):
        # Nothing is loaded; rows are to be told of as rows with pictures.
        spaces = (SpaceSection(name="vectors", encoder="hf-hub:imageomics/bioclip-2"),)
    return Plan(
        atlas=AtlasSection(title=path.name),
        output=OutputSection(bundle=scratch / "bundle"),
        sources=(source,),
        spaces=spaces,
        path=path,
    )


def _source_at(path: Path) -> SourceSettings:
    key, title = "source", path.name or str(path)
    name = path.name.lower()
    if path.is_dir() and any((path / f"photos{end}").is_file() for end in (".csv.gz", ".csv")):
        return InatOpenDataSection(key=key, title=title, path=path)
    if path.is_dir() and (path / "catalog.parquet").is_file():
        return TreeOfLifeSection(key=key, title=title, path=path)
    if path.is_dir() or (name.endswith(".zip") and len(names_in(path)) > 1):
        return DwcaSection(key=key, title=title, path=path)
    if name.endswith(_PARQUET) and {"uuid", "emb"} <= set(column_names(path)):
        return EmbeddingsSection(key=key, title=title, path=path, space="vectors")
    if name.endswith((*_PARQUET, *_TABLES, ".zip")):
        return RecordsSection(key=key, title=title, path=path)
    raise PlanError(path, "is neither a table, nor an archive, nor a folder of one; write a plan")


def inspect_plan(plan: Plan, most_rows: int) -> Inspection:
    """Read up to `most_rows` rows of each source. Raises PlanError where one cannot be used."""
    found = tuple(_inspected(source, most_rows) for source in open_sources(plan))
    rows = sum(source.rows for source in found)
    embedded = any(space.encoder for space in plan.spaces)
    dims = sum((space.dim or 768) for space in plan.spaces)
    return Inspection(
        sources=found,
        build_s=rows * (_ROW_S + _PICTURE_S * embedded * len(plan.spaces)),
        size_bytes=rows * (_ROW_BYTES + 2 * dims),
        problem=_problem(plan, found),
    )


def _problem(plan: Plan, sources: Iterable[SourceInspection]) -> str:
    """Why a build would stop, as its gates would say it."""
    read = sum(source.rows_read for source in sources)
    refused: Counter[str] = Counter()
    for source in sources:
        refused.update(source.rejects)
    if not read:
        return "the sources hold no rows"
    listed = ", ".join(f"{count:,} {reason}" for reason, count in refused.most_common())
    if refused.total() == read:
        return f"all {read:,} rows would be refused: {listed}"
    if refused.total() > plan.rejects.max_share * read:
        return (
            f"{refused.total():,} of {read:,} rows would be refused, more than the plan's share of "
            f"{plan.rejects.max_share:g}: {listed}"
        )
    return ""


def _inspected(source: Source, most_rows: int) -> SourceInspection:
    parts = source.parts()
    records: list[pa.Table] = []
    rejects: list[pa.Table] = []
    rows_read = 0
    for part in _spread(parts):
        if rows_read >= most_rows:
            break
        read = source.read(part)
        rows_read += read.rows_in
        records.append(read.records)
        rejects.append(read.rejects)
    table = pa.concat_tables(records) if records else None
    refused = pa.concat_tables(rejects).to_pylist() if rejects else []
    settings = source.settings
    return SourceInspection(
        key=settings.key,
        kind=str(settings.__struct_config__.tag),
        citation=settings.citation,
        rows=sum(part.rows for part in parts),
        rows_read=rows_read,
        records=table.num_rows if table is not None else 0,
        rejects=dict(Counter(row["reason"] for row in refused).most_common()),
        examples={row["reason"]: row["detail"] for row in reversed(refused)},
        **_seen(table),
    )


def _spread(parts: list[SourcePart]) -> list[SourcePart]:
    """The parts, first and last ones first: faults stand rarely at the beginning alone."""
    ends = zip(parts, reversed(parts), strict=True)
    order = {part.name: part for pair in ends for part in pair}
    return list(order.values())


def _seen(table: pa.Table | None) -> dict[str, Any]:
    """What the records say of licences, places, days and flags."""
    if table is None or not table.num_rows:
        nothing: dict[str, int] = {}
        return {
            "filled": nothing,
            "licences": nothing,
            "media_licences": nothing,
            "bbox": None,
            "first_day": None,
            "last_day": None,
            "flags": nothing,
        }
    edges = [pc.min_max(table[name]).as_py() for name in ("longitude", "latitude")]
    (west, east), (south, north) = ((edge["min"], edge["max"]) for edge in edges)
    first, last = pc.min(table["observed_from"]).as_py(), pc.max(table["observed_to"]).as_py()
    flags = table["flags"].to_numpy()
    carried = {meaning.name: int(((flags & meaning.flag) != 0).sum()) for meaning in FLAGS}
    return {
        "filled": {name: _filled(table[name]) for name in table.column_names if name != "flags"},
        "licences": _counts(table["licence"]),
        "media_licences": _counts(table["media_licence"]),
        "bbox": None if west is None else (west, south, east, north),
        "first_day": first and first.isoformat(),
        "last_day": last and last.isoformat(),
        "flags": {name: count for name, count in carried.items() if count},
    }


def _filled(column: pa.ChunkedArray) -> int:
    if pa.types.is_string(column.type):
        return int(pc.sum(pc.fill_null(pc.not_equal(column, ""), False)).as_py() or 0)
    return len(column) - int(column.null_count)


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    counted = column.value_counts().to_pylist()
    counts = Counter({row["values"] or "not stated": row["counts"] for row in counted})
    return dict(counts.most_common(_MOST_LISTED))
