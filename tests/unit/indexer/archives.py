"""Small Darwin Core Archives, written as a test wants them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from indexer.plan_sections import DwcaSection
from indexer.sources.darwin_archive import DwcaSource
from tests.unit.indexer.tables import RANKS

DWC = "http://rs.tdwg.org/dwc/terms/"
DC = "http://purl.org/dc/terms/"
CORE = tuple(
    DWC + name
    for name in ("occurrenceID", "scientificName", "decimalLatitude", "decimalLongitude", "kingdom")
)
MEDIA = tuple(DC + name for name in ("type", "format", "identifier", "license", "rightsHolder"))
MULTIMEDIA = "http://rs.gbif.org/terms/1.0/Multimedia"

Rows = Sequence[Sequence[str]]


def frogs(count: int) -> list[list[str]]:
    """Occurrences with an id of their own in front."""
    return [
        [str(at), f"o-{at}", "Hyla arborea", f"{40 + at / 10:.1f}", "7.25", "Animalia"]
        for at in range(count)
    ]


def photo(of: int, name: str, licence: str = "", kind: str = "StillImage") -> list[str]:
    """A medium of the occurrence with the id `of`."""
    return [str(of), kind, "", name, licence, ""]


def table_xml(
    tag: str,
    terms: Sequence[str],
    file: str,
    *,
    row_type: str = DWC + "Occurrence",
    delimiter: str = "\\t",
    quote: str = "",
    encoding: str = "UTF-8",
    header_lines: int = 1,
    further: str = "",
) -> str:
    """The descriptor of a table whose first column is the id."""
    fields = "".join(f'<field index="{at}" term="{term}"/>' for at, term in enumerate(terms, 1))
    joining = {"core": "id", "extension": "coreid"}[tag]
    return (
        f'<{tag} encoding="{encoding}" fieldsTerminatedBy="{delimiter}" linesTerminatedBy="\\n" '
        f'fieldsEnclosedBy="{quote}" ignoreHeaderLines="{header_lines}" rowType="{row_type}">'
        f'<files><location>{file}</location></files><{joining} index="0"/>{fields}{further}</{tag}>'
    )


def text(
    terms: Sequence[str],
    rows: Rows,
    *,
    delimiter: str = "\t",
    quote: str = "",
    header: bool = True,
) -> str:
    """Rows as text, each field in quotes where there are any."""
    names = ["id", *(term.rpartition("/")[2] for term in terms)]
    lines = [names, *rows] if header else rows
    cells = [
        [quote + cell.replace(quote or "\0", quote * 2) + quote for cell in row] for row in lines
    ]
    return "".join(delimiter.join(row) + "\n" for row in cells)


def descriptor(*tables: str) -> str:
    """A `meta.xml`."""
    return f'<archive xmlns="http://rs.tdwg.org/dwc/text/">{"".join(tables)}</archive>'


def write_archive(
    folder: Path, occurrences: Rows, media: Rows | None = None, *, packed: bool = False
) -> Path:
    """A plain archive, as a folder or a zip."""
    tables = [table_xml("core", CORE, "occurrence.txt")]
    files = {"occurrence.txt": text(CORE, occurrences)}
    if media is not None:
        tables.append(table_xml("extension", MEDIA, "multimedia.txt", row_type=MULTIMEDIA))
        files["multimedia.txt"] = text(MEDIA, media)
    return write_files(folder, files | {"meta.xml": descriptor(*tables)}, packed=packed)


def write_files(
    folder: Path, files: dict[str, str], *, packed: bool = False, encoding: str = "utf-8"
) -> Path:
    """Files in a folder, or in a zip beside it."""
    contents = {name: content.encode(encoding) for name, content in files.items()}
    if packed:
        archive = folder.with_suffix(".zip")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in contents.items():
                zipped.writestr(name, content)
        return archive
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def source_of(
    path: Path, *, part_rows: int = 4, with_pictures: bool = True, **settings: Any
) -> DwcaSource:
    """A source of the archive at `path`."""
    section = DwcaSection(key="s", title="S", path=path, **settings)
    return DwcaSource(
        section,
        ranks=RANKS,
        resolution=7,
        part_rows=part_rows,
        with_pictures=with_pictures,
        max_file_bytes=1_000_000,
    )


def all_rows(source: DwcaSource) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Records and rejects of all parts, each part's account checked."""
    records: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    for part in source.parts():
        read = source.read(part)
        assert read.rows_in == read.records.num_rows + read.rejects.num_rows
        records += read.records.to_pylist()
        rejects += read.rejects.to_pylist()
    return records, rejects
