"""How an archive wants to be cited.

Knows EML and what GBIF adds to its downloads. Reads small files, safe from any thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.darwin_core import clean
from indexer.sources.archive import Archive, parse_xml
from indexer.sources.input_file import names_in, open_bytes

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_CITATIONS = "citations.txt"


def citation_of(path: Path, archive: Archive) -> str:
    """The archive's citation, "" where it has none.

    That is `citations.txt` of a download of GBIF, or else the citation, or the title, in the
    metadata document.
    """
    if not archive.described:
        return ""
    folder = archive.core.table.parent
    names = set(names_in(path))
    if _CITATIONS in names:
        with open_bytes(folder / _CITATIONS) as file:
            return clean(file.read().decode("utf-8", errors="replace"))
    if archive.metadata in names:
        return _cited(folder / archive.metadata)
    return ""


def _cited(file: Path) -> str:
    """The citation in a metadata document, or else its title."""
    root = parse_xml(file)
    return _first(root, "citation") or _first(root, "title")


def _first(root: Element, name: str) -> str:
    texts = (clean("".join(found.itertext())) for found in root.iter() if _plain(found) == name)
    return next((text for text in texts if text), "")


def _plain(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
