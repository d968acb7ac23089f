"""The descriptor of a Darwin Core Archive: which tables it holds and how they are written.

Knows `meta.xml` as the Darwin Core text guide defines it (https://dwc.tdwg.org/text/), and what
archives without one look like. Reads no rows. Safe from any thread.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from atlas.errors import PlanError
from indexer.sources.input_file import names_in, open_bytes
from indexer.sources.text_table import TextTable

DESCRIPTOR = "meta.xml"
OCCURRENCE = "http://rs.tdwg.org/dwc/terms/Occurrence"
MEDIA_TYPES = frozenset(
    {
        "http://rs.gbif.org/terms/1.0/Multimedia",
        "http://rs.gbif.org/terms/1.0/Image",
        "http://rs.tdwg.org/ac/terms/Multimedia",
    }
)
ID = "\x1fid"
"""Name of the column that joins the tables; no term has it."""

_TEXT = "{http://rs.tdwg.org/dwc/text/}"
_TABLES = (".txt", ".csv", ".tsv")
_ID_COLUMNS = ("gbifID", "coreid", "id", "occurrenceID")
# Escapes of the text guide's examples, and names that archives in the wild have for them.
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\r\\n": "\r\n", "&quot;": '"'}
# Going to a row of a packed file unpacks all before it, for every part once more.
_LARGEST_PACKED_BYTES = 2 << 30
# Term namespaces in the order in which they are believed where two terms share a short name.
_BELIEVED = ("http://rs.tdwg.org/dwc/", "http://rs.tdwg.org/ac/", "http://purl.org/dc/terms/")


class ArchiveTable(NamedTuple):
    """One table of an archive: a `TextLayout`, with its row type and values for empty fields.

    `header` has a term's short name for each column, "" for columns that are not declared.
    `joining` is the column that the tables are joined by, `ID` where it is no term as well, ""
    where there is none. `constant` are the defaults by short name.
    """

    table: Path
    row_type: str
    encoding: str
    delimiter: str
    quoting: str
    quote: str
    header: tuple[str, ...] | None
    skipped_lines: int
    joining: str
    constant: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, also where the first line of the file has them."""
        return TextTable(self).columns if self.header is None else self.header


class Archive(NamedTuple):
    """The tables of an archive that are read: occurrences and their media."""

    core: ArchiveTable
    media: tuple[ArchiveTable, ...]
    metadata: str
    described: bool


def open_archive(path: Path, encoding: str | None = None) -> Archive:
    """Read the descriptor of a zip or folder, or find the tables of one without.

    `encoding` stands instead of what the archive states. Raises PlanError, saying what is wrong.
    """
    if path.is_file() and path.suffix.lower() != ".zip":
        return Archive(_bare(path, OCCURRENCE, encoding), (), "", described=False)
    if not path.exists():
        raise PlanError(path, "is not there: expected a Darwin Core Archive")
    names = names_in(path)
    descriptors = [name for name in names if name.rpartition("/")[2] == DESCRIPTOR]
    if len(descriptors) > 1:
        raise PlanError(path, f"holds {len(descriptors)} files {DESCRIPTOR}; an archive has one")
    if not descriptors:
        return _undescribed(path, names, encoding)
    file = path / descriptors[0]
    root = parse_xml(file)
    folder = file.parent
    cores = [child for child in root if child.tag.removeprefix(_TEXT) == "core"]
    if len(cores) != 1:
        raise PlanError(file, f"has {len(cores)} core tables; an archive has one")
    core = _table(file, folder, cores[0], encoding)
    if core.row_type != OCCURRENCE:
        short = _short(core.row_type) or "without a row type"
        raise PlanError(file, f"its core is {short}; only archives of occurrences can be built")
    extensions = [child for child in root if child.tag.removeprefix(_TEXT) == "extension"]
    media = [child for child in extensions if child.get("rowType", "") in MEDIA_TYPES]
    return Archive(
        core,
        tuple(_table(file, folder, child, encoding) for child in media),
        root.get("metadata", ""),
        described=True,
    )


def parse_xml(file: Path) -> ET.Element:
    """The root of an XML file. Raises PlanError where it is none, or declares entities."""
    with open_bytes(file) as opened:
        content = opened.read()
    if b"<!ENTITY" in content or b"<!DOCTYPE" in content:
        raise PlanError(file, "declares a document type, which no archive needs")
    try:
        return ET.fromstring(content)  # noqa: S314 - it declares no entities
    except (ET.ParseError, LookupError, ValueError) as error:
        raise PlanError(file, f"is not readable XML: {error}") from error


def _table(
    descriptor: Path, folder: Path, element: ET.Element, encoding: str | None
) -> ArchiveTable:
    file = _located(descriptor, folder, element)
    terminator = _unescaped(element.get("linesTerminatedBy", "\\n"))
    if terminator not in {"\n", "\r\n"}:
        raise PlanError(descriptor, f"{file.name} ends its lines in {terminator!r}; use LF or CRLF")
    delimiter = _unescaped(element.get("fieldsTerminatedBy", ","))
    if len(delimiter) != 1 or delimiter in "\r\n":
        raise PlanError(descriptor, f"{file.name} has the delimiter {delimiter!r}; it is one sign")
    quote = _unescaped(element.get("fieldsEnclosedBy", '"'))
    if len(quote) > 1 or not quote.isascii():
        raise PlanError(descriptor, f"{file.name} has the quotes {quote!r}; they are one sign")
    skipped = _number(descriptor, element.get("ignoreHeaderLines", "0"), "ignoreHeaderLines")
    table = ArchiveTable(
        table=file,
        row_type=element.get("rowType", ""),
        encoding=_known_encoding(descriptor, encoding or element.get("encoding") or "utf-8"),
        delimiter=delimiter,
        quoting="double" if quote else "none",
        quote=quote or '"',
        header=None,
        skipped_lines=skipped,
        joining="",
        constant={},
    )
    by_column, constant = _fields(descriptor, element)
    joining = _joining(descriptor, element, by_column)
    # A table without a single line has the columns that are declared.
    width = _width(table) or max(by_column, default=-1) + 1
    if by_column and max(by_column) >= width:
        raise PlanError(
            descriptor,
            f"declares column {max(by_column)} (from 0) of {file.name}, which has {width} columns",
        )
    header = tuple(by_column.get(at, "") for at in range(width))
    return table._replace(header=header, joining=joining, constant=constant)


def _located(descriptor: Path, folder: Path, element: ET.Element) -> Path:
    locations = [(found.text or "").strip() for found in _below(element, "location")]
    if len(locations) != 1 or not locations[0]:
        raise PlanError(descriptor, f"names {len(locations)} files for a table; it needs one")
    name = Path(locations[0])
    if name.is_absolute() or ".." in name.parts or "://" in locations[0]:
        raise PlanError(descriptor, f"names {locations[0]!r}, which is not inside the archive")
    _check_there(folder / name)
    return folder / name


def _check_there(file: Path) -> None:
    try:
        with open_bytes(file) as opened:
            packed_bytes = getattr(getattr(opened, "raw", None), "_left", 0)
    except OSError as error:
        raise PlanError(file, f"cannot be read: {error.strerror}") from error
    if packed_bytes > _LARGEST_PACKED_BYTES:
        raise PlanError(file, "is larger than 2 GiB: unpack the archive and give its folder")


def _below(element: ET.Element, name: str) -> Iterator[ET.Element]:
    yield from (child for child in element.iter() if child.tag.removeprefix(_TEXT) == name)


def _fields(descriptor: Path, element: ET.Element) -> tuple[dict[int, str], dict[str, str]]:
    """Short names of terms by column, and defaults by short name."""
    by_column: dict[int, str] = {}
    constant: dict[str, str] = {}
    taken: set[str] = set()
    fields = sorted(_below(element, "field"), key=lambda field: _belief(field.get("term", "")))
    for field in fields:
        name = _short(field.get("term", ""))
        if not name or name in taken:
            continue
        taken.add(name)
        if "index" in field.attrib:
            by_column.setdefault(_number(descriptor, field.attrib["index"], "index"), name)
        if field.get("default"):
            constant[name] = field.attrib["default"]
    return by_column, constant


def _joining(descriptor: Path, element: ET.Element, by_column: dict[int, str]) -> str:
    """The column that joins; it may be a term as well, as in GBIF's archives."""
    for found in (*_below(element, "id"), *_below(element, "coreid")):
        at = _number(descriptor, found.get("index", ""), "index")
        return by_column.setdefault(at, ID)
    return ""


def _belief(term: str) -> int:
    return next((i for i, begin in enumerate(_BELIEVED) if term.startswith(begin)), len(_BELIEVED))


def _width(table: ArchiveTable) -> int:
    """Columns of the table, as its header line or else its first row has them."""
    with open_bytes(table.table) as file:
        first = file.readline(1 << 20)
    text = first.removeprefix(codecs.BOM_UTF8).decode(table.encoding, errors="replace")
    if not text.strip("\r\n"):
        return 0
    reader = csv.reader(
        [text],
        delimiter=table.delimiter,
        quotechar=table.quote,
        quoting=csv.QUOTE_MINIMAL if table.quoting == "double" else csv.QUOTE_NONE,
    )
    return len(next(reader))


def _undescribed(path: Path, names: list[str], encoding: str | None) -> Archive:
    """The tables of an archive without `meta.xml`, by the names of their files."""
    tables = {
        name.rpartition("/")[2].lower(): name for name in names if name.lower().endswith(_TABLES)
    }
    cores = [tables[f"occurrence{end}"] for end in _TABLES if f"occurrence{end}" in tables]
    if not cores and len(tables) == 1:
        cores = list(tables.values())
    if len(cores) != 1:
        raise PlanError(path, f"has no {DESCRIPTOR} and no occurrence.txt")
    media = [tables[f"multimedia{end}"] for end in _TABLES if f"multimedia{end}" in tables]
    for name in (*cores, *media):
        _check_there(path / name)
    return Archive(
        _bare(path / cores[0], OCCURRENCE, encoding),
        tuple(_bare(path / name, min(MEDIA_TYPES), encoding) for name in media),
        "",
        described=False,
    )


def _bare(file: Path, row_type: str, encoding: str | None) -> ArchiveTable:
    """A table that only its header line describes."""
    table = ArchiveTable(
        table=file,
        row_type=row_type,
        encoding=_known_encoding(file, encoding or "utf-8"),
        delimiter="auto",
        quoting="auto",
        quote='"',
        header=None,
        skipped_lines=1,
        joining="",
        constant={},
    )
    joining = next((name for name in _ID_COLUMNS if name in table.columns), "")
    return table._replace(joining=joining)


def _unescaped(text: str) -> str:
    return _ESCAPES.get(text, text)


def _short(term: str) -> str:
    return term.rstrip("/").replace("#", "/").rpartition("/")[2]


def _number(descriptor: Path, text: str, name: str) -> int:
    if not text.strip().isdecimal() or not text.isascii():
        raise PlanError(descriptor, f"`{name}` is {text!r}, not a number of columns or lines")
    return int(text)


def _known_encoding(file: Path, name: str) -> str:
    """The encoding, where Python has it and lines can be cut before they are decoded."""
    try:
        plain = "\t,|;\"'\r\n".encode(name)
    except LookupError as error:
        raise PlanError(file, f"has the encoding {name!r}, which is not known") from error
    if plain != b"\t,|;\"'\r\n":
        raise PlanError(file, f"has the encoding {name!r}; save its tables as UTF-8")
    return name
