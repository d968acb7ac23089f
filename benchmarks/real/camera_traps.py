"""The camera-trap example: its deployments, media and observations as one Darwin Core table.

Every observation becomes a row, so that the build's own account covers the whole table: what is
seen on pictures that lie elsewhere is refused as `file_missing`, and what describes an event and
names no picture as `no_file_named`. Place, time and credit come from the package's own files.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.real.plans import RANKS, Prepared, picture_plan, write_table

FOLDER = "camtrap-dp-example"
KEY = "camera-traps"

# All but ten pictures lie elsewhere, 539 of 549 rows; the build is to stop only if all are lost.
_MAX_REJECT_SHARE = 0.99
_COLUMNS = (
    "file",
    "occurrenceID",
    "scientificName",
    *RANKS,
    "vernacularName",
    "decimalLatitude",
    "decimalLongitude",
    "coordinateUncertaintyInMeters",
    "eventDate",
    "recordedBy",
    "basisOfRecord",
    "license",
    "rightsHolder",
    "mediaURL",
    "mediaLicense",
)

Row = Mapping[str, str]


def read_tables(folder: Path) -> tuple[dict[str, Row], dict[str, Row], list[Row]]:
    """Deployments by id, media by id, and observations in their order."""
    deployments = {row["deploymentID"]: row for row in _rows(folder / "deployments.csv")}
    media = {row["mediaID"]: row for row in _rows(folder / "media.csv")}
    return deployments, media, _rows(folder / "observations.csv")


def prepare(data: Path, out: Path, model: str) -> Prepared:
    """Write the table and the plan below `out`."""
    folder = data / FOLDER
    package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    deployments, media, observations = read_tables(folder)
    names = {taxon["scientificName"]: _taxon(taxon) for taxon in package["taxonomic"]}
    credit = _credit(package)
    rows = [
        {
            **credit,
            **_observed(row, deployments[row["deploymentID"]]),
            **names.get(row["scientificName"], {}),
            **_pictured(row, media),
        }
        for row in observations
    ]
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / "records.csv", rows, _COLUMNS)
    plan = picture_plan(
        out,
        title="Camera traps",
        description=package["title"],
        source={
            "key": KEY,
            "title": package["title"],
            "path": folder.absolute(),
            "records": "records.csv",
            "citation": package["bibliographicCitation"],
            "url": package["homepage"],
        },
        model=model,
        host=[media_licence_code(package)],
        max_reject_share=_MAX_REJECT_SHARE,
    )
    local = sum((folder / row["filePath"]).is_file() for row in media.values())
    events = sum(not row["mediaID"] for row in observations)
    unnamed = sum(not row["scientificName"] for row in observations)
    return Prepared(
        name=KEY,
        title=f"{len(observations)} observations on {len(media)} pictures, {local} of them here",
        plan=plan,
        rows=len(observations),
        notes=(
            f"{len(media) - local} pictures are addresses, not files: their observations are "
            "rejects (file_missing)",
            f"{events} observations describe an event and no picture: rejects (no_file_named)",
            f"{unnamed} observations have no name (blank, vehicle, unknown): they keep none",
            "the package ranks its taxa and gives no lineage; each stands at its own rank, "
            "a species below the genus in its name",
        ),
    )


def media_licence_code(package: Mapping[str, Any]) -> str:
    """The code of the pictures' licence; KeyError where it is not the one this was written for."""
    known = {"http://creativecommons.org/licenses/by/4.0/": "CC-BY-4.0"}
    return known[_licence(package, "media")]


def _rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _licence(package: Mapping[str, Any], scope: str) -> str:
    stated = next(licence for licence in package["licenses"] if licence["scope"] == scope)
    return str(stated.get("name") or stated["path"])


def _credit(package: Mapping[str, Any]) -> dict[str, str]:
    holder = next(one for one in package["contributors"] if one.get("role") == "rightsHolder")
    return {
        "license": _licence(package, "data"),
        "mediaLicense": _licence(package, "media"),
        "rightsHolder": holder["title"],
    }


def _taxon(taxon: Mapping[str, Any]) -> dict[str, str]:
    """A taxon of the package at its rank; the genus of a species is the first word of its name."""
    name = taxon["scientificName"]
    ranks = {taxon["taxonRank"]: name}
    if taxon["taxonRank"] == "species":
        ranks["genus"] = name.split()[0]
    return {**ranks, "vernacularName": taxon["vernacularNames"].get("eng", "")}


def _observed(observation: Row, deployment: Row) -> dict[str, str]:
    return {
        "occurrenceID": observation["observationID"],
        "scientificName": observation["scientificName"],
        "eventDate": observation["eventStart"],
        "decimalLatitude": deployment["latitude"],
        "decimalLongitude": deployment["longitude"],
        "coordinateUncertaintyInMeters": deployment["coordinateUncertainty"],
        "recordedBy": deployment["setupBy"],
        "basisOfRecord": "MachineObservation",
    }


def _pictured(observation: Row, media: Mapping[str, Row]) -> dict[str, str]:
    """What the media table says of the picture; nothing where the observation names none.

    The camera's own time is taken, in the zone that it was set to: observations state theirs in
    UTC, whose day is another one around midnight.
    A picture that its owners do not publish keeps no address.
    """
    if not observation["mediaID"]:
        return {}
    picture = media[observation["mediaID"]]
    path = picture["filePath"]
    published = picture["filePublic"] == "true" and path.startswith("http")
    return {
        "file": path,
        "eventDate": picture["timestamp"],
        "mediaURL": path if published else "",
    }
