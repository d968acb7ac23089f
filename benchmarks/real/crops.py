"""The crop photos: every row of their licence table becomes a record with its credit.

The photos' own folder says nothing of place, time or taxon: none of the first two is made up, and
the taxon follows from the crop's name alone. Knows that folder's layout, nothing of search.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple

from benchmarks.real.plans import RANKS, Prepared, picture_plan, write_table

FOLDER = "crops-photos-cc"
KEY = "crops"
TITLE = "Crop photos with a credit each; taxa are a rough match by crop name, given by this project"

# Every licence of the table; all of them let a credited copy be shown.
HOSTED = (
    "CC0-1.0",
    "PDM-1.0",
    "CC-BY-2.0",
    "CC-BY-3.0",
    "CC-BY-SA-2.0",
    "CC-BY-SA-2.5",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
)
_NAMES = Path(__file__).with_name("crop_names.csv")
_ROW = re.compile(r"\[`(?P<file>[^`]+)`\]\((?P<link>[^)]+)\)")
_COLUMNS = (
    "file",
    "occurrenceID",
    "scientificName",
    *RANKS,
    "vernacularName",
    "rightsHolder",
    "mediaLicense",
    "references",
)


class Credit(NamedTuple):
    """One row of the licence table, as it is written."""

    file: str
    author: str
    licence: str
    url: str


def read_credits(path: Path) -> list[Credit]:
    """Every row of the table in LICENSE.md; ValueError for a line below its head that is none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith("----"))
    return [_credit(line) for line in lines[head + 1 :] if line.strip()]


def _credit(line: str) -> Credit:
    cells = [cell.strip() for cell in line.split(" | ")]
    named = _ROW.fullmatch(cells[0])
    if len(cells) != 4 or named is None or named["file"] != named["link"]:
        raise ValueError(f"not a row of the licence table: {line!r}")
    return Credit(named["file"], *cells[1:])


def occurrence_id(file: str) -> str:
    """The id under which a photo is recorded: its folder and file."""
    return f"{FOLDER}/{file}"


def photos_without_credit(folder: Path) -> list[str]:
    """Photos of the folder that no row of the table names."""
    named = {credit.file for credit in read_credits(folder / "LICENSE.md")}
    return sorted(path.name for path in folder.glob("*.jpg") if path.name not in named)


def prepare(data: Path, out: Path, model: str) -> Prepared:
    """Write the table and the plan below `out`; rows whose photo is missing are left in."""
    folder = data / FOLDER
    credits_ = read_credits(folder / "LICENSE.md")
    names = _names()
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / "records.csv", [_record(row, names) for row in credits_], _COLUMNS)
    missing = [row.file for row in credits_ if not (folder / row.file).is_file()]
    plan = picture_plan(
        out,
        title="Crop photos",
        description="Photos of crops under free licences, without places.",
        source={
            "key": KEY,
            "title": TITLE,
            "path": folder.absolute(),
            "records": "records.csv",
            "citation": "rugk/crops-parser, images/; author and licence of each photo are its own.",
            "url": "https://github.com/rugk/crops-parser",
        },
        model=model,
        host=HOSTED,
        max_reject_share=0.05,
    )
    photos = len(list(folder.glob("*.jpg")))
    return Prepared(
        name=KEY,
        title=f"{photos} licensed crop photos, {len(credits_)} rows in their licence table",
        plan=plan,
        rows=len(credits_),
        notes=(
            f"rows of the table whose photo is missing: {', '.join(missing) or 'none'} "
            "(rejects, file_missing)",
            f"photos that no row names: {', '.join(photos_without_credit(folder)) or 'none'} "
            "(without a credit they are not taken)",
            "no place and no date are given, so none is recorded",
        ),
    )


def _names() -> dict[str, dict[str, str]]:
    with _NAMES.open(newline="", encoding="utf-8") as file:
        return {row["crop"]: row for row in csv.DictReader(file)}


def _record(credit: Credit, names: dict[str, dict[str, str]]) -> dict[str, str]:
    crop = names[Path(credit.file).stem]
    lineage = {
        "kingdom": "Plantae",
        "phylum": "Tracheophyta",
        **{rank: crop[rank] for rank in RANKS[2:]},
    }
    return {
        **lineage,
        "file": credit.file,
        "occurrenceID": occurrence_id(credit.file),
        "scientificName": next(lineage[rank] for rank in reversed(RANKS) if lineage[rank]),
        "vernacularName": crop["common_name"],
        "rightsHolder": credit.author,
        "mediaLicense": credit.licence,
        "references": credit.url,
    }
