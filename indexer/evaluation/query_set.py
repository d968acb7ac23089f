"""Reads a query set: texts, their categories, and the images that people found relevant to each.

A row that cannot be used stops the reading, with file and line: left out, it would change the
result unseen. Knows files, nothing of bundles. One thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from atlas.errors import PlanError
from indexer.evaluation.settings import Match, QueriesSection, QuerySetSettings, RelevantSection
from indexer.plan_sections import FolderSection
from indexer.sources.text_table import TextTable

DEFAULT_CATEGORY = "category"
_LISTED = 10


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One query: its id (the text where there is none), its values of the category columns.

    `images` are the relevant ones, distinct, as the file names them; empty where it names none.
    """

    query_id: str
    text: str
    categories: tuple[str, ...]
    images: tuple[str, ...]


class QuerySet(msgspec.Struct, frozen=True, kw_only=True):
    """All queries in the order of the file, and what of the rows did not count.

    `columns` are the category columns; `repeated` counts images named twice for one query;
    `others` counts rows of relevant images whose query the file of queries does not have.
    """

    queries: tuple[Query, ...]
    columns: tuple[str, ...]
    repeated: int
    others: int


class _Faults:
    """Collects the rows of one file that cannot be used, to name them together."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: list[tuple[int, str]] = []

    def add(self, line: int, problem: str) -> None:
        self._found.append((line, problem))

    def check(self) -> None:
        """Raise PlanError with the first fault in full and the lines of the others."""
        if not self._found:
            return
        (line, problem), *others = self._found
        if others:
            lines = ", ".join(str(number) for number, _ in others[:_LISTED])
            more = ", …" if len(others) > _LISTED else ""
            problem += f" ({len(others)} more rows cannot be used: lines {lines}{more})"
        raise PlanError(self._path, problem, line)


class _Entry:
    """A query while its rows are read."""

    def __init__(self, line: int, text: str, categories: tuple[str, ...]) -> None:
        self.line = line
        self.text = text
        self.categories = categories
        self.images: dict[str, None] = {}

    def add(self, images: list[str]) -> int:
        """Add images, in order; returns how many were there already."""
        before = len(self.images)
        self.images |= dict.fromkeys(images)
        return len(images) - (len(self.images) - before)


def read_query_set(path: Path, settings: QuerySetSettings) -> QuerySet:
    """Read the file of queries, and that of relevant images where `settings` has one.

    Either there is one row for each query and image, or one a query with several images in one
    field, or anything between: rows of one query are put together. Raises PlanError with file and
    line for the first row that cannot be used.
    """
    table = _open(path)
    columns = _category_columns(path, table, settings.queries)
    needed = _query_columns(settings, columns)
    faults = _Faults(path)
    entries: dict[str, _Entry] = {}
    repeated = 0
    for line, row in _rows(path, table, needed, faults):
        query_id = row.get("query_id", row["text"])
        own = _Entry(line, row["text"], tuple(row[name] for name in columns))
        entry = entries.setdefault(query_id, own)
        if settings.relevant is not None and entry is not own:
            faults.add(line, f"query {query_id!r} is in line {entry.line} already")
        elif (entry.text, entry.categories) != (own.text, own.categories):
            faults.add(
                line, f"query {query_id!r} has another text or category in line {entry.line}"
            )
        elif settings.relevant is None:
            separators = settings.queries.separators
            images = _images(row["image_id"], separators, settings.match, line, faults)
            repeated += entry.add(images)
    faults.check()
    if not entries:
        raise PlanError(path, "holds no query", 1)
    others = 0
    if settings.relevant is not None:
        repeated, others = _read_relevant(path.parent, settings.relevant, settings.match, entries)
    return QuerySet(
        queries=tuple(
            Query(
                query_id=query_id,
                text=entry.text,
                categories=entry.categories,
                images=tuple(entry.images),
            )
            for query_id, entry in entries.items()
        ),
        columns=columns,
        repeated=repeated,
        others=others,
    )


def _read_relevant(
    folder: Path, section: RelevantSection, match: Match, entries: Mapping[str, _Entry]
) -> tuple[int, int]:
    """Add the images of a file of its own to `entries`; (images named twice, rows of others)."""
    path = folder / section.file
    faults = _Faults(path)
    needed = {"query_id": section.query_id, "image_id": section.image_id}
    repeated = others = 0
    for line, row in _rows(path, _open(path), needed, faults):
        images = _images(row["image_id"], section.separators, match, line, faults)
        entry = entries.get(row["query_id"])
        if entry is None:
            others += 1
        else:
            repeated += entry.add(images)
    faults.check()
    return repeated, others


def _category_columns(path: Path, table: TextTable, section: QueriesSection) -> tuple[str, ...]:
    if section.categories is None:
        return (DEFAULT_CATEGORY,) if DEFAULT_CATEGORY in table.columns else ()
    for column in section.categories:
        if column not in table.columns:
            raise PlanError(path, f"has no column {column!r}", 1)
    return section.categories


def _query_columns(settings: QuerySetSettings, categories: tuple[str, ...]) -> dict[str, str]:
    """The file's column by what it holds."""
    needed = {column: column for column in categories} | {"text": settings.queries.text}
    if settings.queries.query_id is not None:
        needed["query_id"] = settings.queries.query_id
    if settings.relevant is None:
        needed["image_id"] = settings.queries.image_id
    return needed


def _open(path: Path) -> TextTable:
    # The reader of source tables takes its file and dialect from a section of a plan.
    return TextTable(FolderSection(key="queries", title="queries", path=path.parent, records=path))


def _rows(
    path: Path, table: TextTable, needed: Mapping[str, str], faults: _Faults
) -> Iterator[tuple[int, dict[str, str]]]:
    """Each usable row with its line: the needed fields by what they hold, none of them empty."""
    for column in needed.values():
        if column not in table.columns:
            raise PlanError(path, f"has no column {column!r}", 1)
    places = {name: table.columns.index(column) for name, column in needed.items()}
    for row in table.rows():
        if row.reason is not None:
            faults.add(row.line, row.detail)
            continue
        values = {name: " ".join(row.fields[place].split()) for name, place in places.items()}
        problem = _problem(values, needed)
        if problem:
            faults.add(row.line, problem)
        else:
            yield row.line, values


def _problem(values: Mapping[str, str], needed: Mapping[str, str]) -> str:
    for name, value in values.items():
        if not value:
            return f"column {needed[name]!r} is empty"
        if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
            return f"column {needed[name]!r} is not UTF-8 text"
    return ""


def _images(field: str, separators: str, match: Match, line: int, faults: _Faults) -> list[str]:
    """The images that a field names; UUIDs in their usual form."""
    for separator in separators:
        field = field.replace(separator, "\n")
    named = [name for part in field.split("\n") if (name := part.strip())]
    if not named:
        faults.add(line, "names no image")
    if match != "image_id":
        return named
    read = []
    for name in named:
        try:
            read.append(str(uuid.UUID(name)))
        except ValueError:
            faults.add(line, f"{name!r} is not an image id (a UUID)")
            break
    return read
