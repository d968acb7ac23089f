"""The two documents of a Darwin Core Archive: `meta.xml`, and the metadata with its citations.

Source: https://dwc.tdwg.org/text/ and EML 2.2 with what GBIF's profile adds. Pure functions.
"""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from atlas.bundle.manifest import Manifest, SourceEntry
from indexer.licences import normalise_licence

_DWC = "http://rs.tdwg.org/dwc/terms/"
_DC = "http://purl.org/dc/terms/"
_GBIF = "http://rs.gbif.org/terms/1.0/"
_DUBLIN_CORE = {
    "type",
    "format",
    "identifier",
    "license",
    "rightsHolder",
    "references",
    "bibliographicCitation",
}
# Ranks that Darwin Core has terms for; GBIF has one for species.
_RANKS = {
    "kingdom",
    "phylum",
    "class",
    "order",
    "superfamily",
    "family",
    "subfamily",
    "tribe",
    "subtribe",
    "genus",
    "subgenus",
}
_OTHER_RANKS = "urn:biodiversity-atlas:ranks#"
# Namespace of the identifiers of exports; made once with uuid4, never to change.
_NAMESPACE = uuid.UUID("073dd119-193c-4b8e-b7dc-d8d9ec03e91e")


def descriptor(core: Sequence[str], media: Sequence[str], ranks: Sequence[str]) -> bytes:
    """The `meta.xml` of two tables whose first columns join them; `core` includes the `ranks`."""
    root = ET.Element("archive", {"xmlns": "http://rs.tdwg.org/dwc/text/", "metadata": "eml.xml"})
    _table(root, "core", _DWC + "Occurrence", "occurrence.csv", "id", core, ranks)
    _table(root, "extension", _GBIF + "Multimedia", "multimedia.csv", "coreid", media, ())
    return _written(root)


def _table(
    root: ET.Element,
    tag: str,
    row_type: str,
    file: str,
    joining: str,
    terms: Sequence[str],
    ranks: Sequence[str],
) -> None:
    table = ET.SubElement(
        root,
        tag,
        {
            "encoding": "UTF-8",
            "fieldsTerminatedBy": ",",
            "linesTerminatedBy": "\\n",
            "fieldsEnclosedBy": '"',
            "ignoreHeaderLines": "1",
            "rowType": row_type,
        },
    )
    ET.SubElement(ET.SubElement(table, "files"), "location").text = file
    ET.SubElement(table, joining, {"index": "0"})
    for at, term in enumerate(terms, 1):
        ET.SubElement(table, "field", {"index": str(at), "term": _term(term, term in ranks)})


def _term(name: str, is_rank: bool) -> str:
    if is_rank and name not in _RANKS:
        return (_GBIF if name == "species" else _OTHER_RANKS) + name
    return (_DC if name in _DUBLIN_CORE else _DWC) + name


def datasets_table(occurrences: Mapping[str, int]) -> str:
    """How many occurrences came from each data set, CSV by key; as GBIF takes for derived ones."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("datasetID", "occurrences"))
    rows.writerows(sorted(occurrences.items()))
    return text.getvalue()


def metadata(
    manifest: Manifest,
    sources: Sequence[SourceEntry],
    *,
    occurrences: int,
    photos: int,
    licences: Sequence[str],
) -> bytes:
    """The metadata as EML: what the data are, under which licences, and whom to cite."""
    citations = [source.citation or source.title for source in sources]
    root = ET.Element(
        "eml:eml",
        {
            "xmlns:eml": "https://eml.ecoinformatics.org/eml-2.2.0",
            "packageId": _identifier(manifest, occurrences, photos),
            "system": "biodiversity-atlas",
            "scope": "system",
            "xml:lang": "en",
        },
    )
    dataset = ET.SubElement(root, "dataset")
    ET.SubElement(dataset, "title").text = manifest.title
    creator = ET.SubElement(dataset, "creator")
    ET.SubElement(creator, "organizationName").text = manifest.title
    ET.SubElement(dataset, "pubDate").text = manifest.built_on.isoformat()
    ET.SubElement(dataset, "language").text = "en"
    made_up = "A demonstration: its records are made up. " if manifest.demonstration else ""
    described = f"{manifest.description.strip()} " if manifest.description.strip() else ""
    abstract = ET.SubElement(dataset, "abstract")
    ET.SubElement(abstract, "para").text = (
        f"{made_up}{described}{occurrences} occurrences and {photos} photos out of the atlas "
        f"{manifest.title!r}, state {manifest.number}, from: "
        + "; ".join(source.title for source in sources)
        + "."
    )
    rights = ET.SubElement(dataset, "intellectualRights")
    ET.SubElement(rights, "para").text = (
        "Every occurrence and every photo has its own licence, in the column license of its table; "
        "a photo's licence is not that of its record. Licences here: "
        + ("; ".join(map(_licence, licences)) or "none stated")
        + "."
    )
    contact = ET.SubElement(dataset, "contact")
    ET.SubElement(contact, "organizationName").text = manifest.title
    further = ET.SubElement(ET.SubElement(root, "additionalMetadata"), "metadata")
    gbif = ET.SubElement(further, "gbif")
    ET.SubElement(gbif, "citation").text = (
        f"{manifest.title} ({manifest.built_on.year}), state {manifest.number}. Please cite the "
        "sources of the records as well: " + " | ".join(citations)
    )
    bibliography = ET.SubElement(gbif, "bibliography")
    for source, citation in zip(sources, citations, strict=True):
        ET.SubElement(
            bibliography, "citation", {"identifier": source.url or source.key}
        ).text = citation
    return _written(root)


def _identifier(manifest: Manifest, occurrences: int, photos: int) -> str:
    """Another one for another state, and for other rows of it; it follows from what is public."""
    said = (manifest.title, manifest.number, manifest.built_at, occurrences, photos)
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(map(str, said))))


def _licence(code: str) -> str:
    licence = normalise_licence(code)
    return f"{code} ({licence.url})" if licence is not None and licence.url else code


def _written(root: ET.Element) -> bytes:
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return document + b"\n"
