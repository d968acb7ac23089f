"""An atlas of frogs whose records have all that an export must keep, and what its files hold."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from indexer.build import build
from indexer.export.export import Export, Format, export_bundle
from indexer.plan import read_plan
from indexer.progress import Silent
from tests.unit.indexer.archives import descriptor, table_xml, text, write_files

EVERY: dict[str, Any] = {"flags": "all"}
_DWC = "http://rs.tdwg.org/dwc/terms/"
_DC = "http://purl.org/dc/terms/"
_CORE = {
    "occurrenceID": _DWC,
    "scientificName": _DWC,
    "kingdom": _DWC,
    "family": _DWC,
    "vernacularName": _DWC,
    "decimalLatitude": _DWC,
    "decimalLongitude": _DWC,
    "coordinateUncertaintyInMeters": _DWC,
    "eventDate": _DWC,
    "recordedBy": _DWC,
    "basisOfRecord": _DWC,
    "occurrenceStatus": _DWC,
    "informationWithheld": _DWC,
    "license": _DC,
    "rightsHolder": _DC,
    "references": _DC,
}
_MEDIA = ("type", "identifier", "license", "rightsHolder", "references")
PLAN = """\
[atlas]
title = "Frogs, \\"quoted\\" & <marked>"
[output]
bundle = "{bundle}"
[[sources]]
kind = "dwca"
key = "frogs"
title = "Frogs"
citation = "Somebody (2020). Frogs."
path = "{path}"
as_of = 2026-01-01
[rejects]
max_share = 0.5
[quality]
land_taxa = []
[workers]
count = 1
"""


def _occurrence(at: int, **given: str) -> list[str]:
    row = {
        "occurrenceID": f"o-{at}",
        "scientificName": 'Hyla "arborea", L.' if at % 2 else "Rana temporaria",
        "kingdom": "Animalia",
        "family": "Hylidae" if at % 2 else "",
        "vernacularName": "Grenouille des bois 🐸",
        "decimalLatitude": f"{40 + at / 7:.6f}",
        "decimalLongitude": f"{-3 - at / 11:.6f}",
        "coordinateUncertaintyInMeters": ("", "12.5", "30000")[at % 3],
        "eventDate": ("2020-02-03", "2020-02-03/2020-03-04", "2019", "")[at % 4],
        "recordedBy": f"Ærø, Jö {at % 5}",
        "basisOfRecord": "HumanObservation",
        "license": ("CC0-1.0", "CC BY 4.0")[at % 2],
        "rightsHolder": "A society" if at % 3 else "",
        "references": f"https://example.org/records/{at}",
    } | given
    return [str(at), *(row.get(name, "") for name in _CORE)]


def write_frogs(folder: Path) -> Path:
    """An archive of records with none to three photos, some of them with credits of their own."""
    records = [_occurrence(at) for at in range(40)]
    records[3] = _occurrence(3, occurrenceStatus="absent")
    records[5] = _occurrence(5, informationWithheld="Coordinates blurred to 28000m")
    records[6] = _occurrence(6, occurrenceID="o-4")  # two records of one id that say other things
    photos = [
        [
            str(at),
            "StillImage",
            f"https://example.org/photos/{at}-{number}.jpg",
            ("CC BY-NC 4.0", "CC0", "")[number],
            f"Holder {number}" if at % 2 else "",
            f"https://example.org/photos/{at}-{number}" if number else "",
        ]
        for at in range(40)
        for number in range(at % 4)
    ]
    files = {
        "occurrence.txt": text(tuple(_CORE), records),
        "multimedia.txt": text(_MEDIA, photos),
        "meta.xml": descriptor(
            table_xml("core", [space + name for name, space in _CORE.items()], "occurrence.txt"),
            table_xml(
                "extension",
                [_DC + name for name in _MEDIA],
                "multimedia.txt",
                row_type="http://rs.gbif.org/terms/1.0/Multimedia",
            ),
        ),
    }
    return write_files(folder, files)


def build_archive(folder: Path, archive: Path, name: str) -> Path:
    """Build an atlas of records out of an archive; returns its bundle."""
    plan = folder / f"{name}.toml"
    plan.write_text(PLAN.format(bundle=name, path=archive), encoding="utf-8")
    build(read_plan(plan), Silent())
    return folder / name


def stored(root: Path) -> list[dict[str, Any]]:
    """All rows of a bundle."""
    paths = sorted(root.glob("segments/*/rows.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def exported(root: Path, path: Path, form: Format, **asked: Any) -> Export:
    """Export everything that passes `limits`, by default every row."""
    limits = asked.pop("limits", EVERY)
    return export_bundle(root, path, form, Silent(), limits=limits, **asked)


# Made anew by every build: numbers, and ids that follow from the key and the addresses.
_OF_A_BUILD = {"row_id", "taxon_id", "image_id", "cell", "flags", "media_type", "media_sha256"}
# An archive gives a record that was published in no data set the key of its source.
_OF_AN_ARCHIVE = {"dataset_key"}


def as_records(rows: list[dict[str, Any]]) -> list[str]:
    """What rows say of their records, in an order of their own."""
    return sorted(
        str(
            [
                (name, value)
                for name, value in row.items()
                if name not in _OF_A_BUILD | _OF_AN_ARCHIVE
            ]
        )
        for row in rows
    )


def table_of(archive: Path, name: str) -> list[dict[str, str]]:
    """A table of an archive, by the name of its file."""
    with zipfile.ZipFile(archive) as zipped:
        content = zipped.read(f"{name}.csv").decode("utf-8")
    return list(csv.DictReader(io.StringIO(content)))
