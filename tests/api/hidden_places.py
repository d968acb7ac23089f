"""Two worlds that differ in nothing but the exact places of sensitive organisms, built for real.

What the server says of one must be what it says of the other, whatever is asked.
"""

from __future__ import annotations

import csv
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import ExifTags, Image

from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Silent
from tests.factories import COLUMNS, LINEAGES, RANKS, make_photos, write_plan

# Rounded to a tenth of a degree; and hidden altogether; and public, which is the control.
FROG, WHEATEAR, MALLARD = LINEAGES[0], LINEAGES[3], LINEAGES[4]
OBSCURED = LINEAGES[2]
RECORDS = 6


class Places(NamedTuple):
    """Where each kind of organism was found in one of the worlds: latitude and longitude."""

    rounded: tuple[float, float]
    withheld: tuple[float, float]
    obscured: tuple[float, float]
    public: tuple[float, float]


# The rounded frog keeps its grid square, the obscured one its square of 0.2 degrees. The withheld
# bird may be anywhere: first in a capital, then at a country's centroid.
HERE = Places((10.3612, -84.0421), (-15.7800, -47.9299), (12.4123, -83.5217), (10.3612, -84.0421))
THERE = Places((10.4433, -83.9584), (-10.0, -55.0), (12.5871, -83.4312), (10.3612, -84.0421))
# The public bird moves as the frog does, and everybody may see it.
CONTROL = HERE._replace(public=THERE.rounded)


def build_world(folder: Path, model: Path, places: Places) -> Path:
    """Build a bundle of `make_photos` and of the organisms at these places; returns its root."""
    records = make_photos(folder / "photos")
    rows = [row for kind in _kinds(places) for row in _rows(*kind)]
    with records.open(newline="", encoding="utf-8") as file:
        others = list(csv.DictReader(file))
    with records.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, "informationWithheld"])
        writer.writeheader()
        writer.writerows([*others, *rows])
    for row in rows:
        if "missing" not in row["file"]:
            _photo(folder / "photos" / row["file"], row)
    table = folder / "sensitive.csv"
    table.write_text(f"taxon,category\n{FROG[-1]},2\n{WHEATEAR[-1]},withheld\n")
    plan = write_plan(
        folder / "plan.toml",
        photos=folder / "photos",
        model=model,
        bundle=folder / "bundle",
        sensitive=f'table = "{table}"',
        quality="region = [-180.0, -60.0, 180.0, 90.0]",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1790000000")
        build(read_plan(plan), Silent())
    return folder / "bundle"


def _kinds(places: Places) -> list[tuple[str, tuple[str, ...], tuple[float, float], str]]:
    remark = "Coordinate uncertainty increased to 28500m to protect threatened taxon"
    return [
        ("rounded", FROG, places.rounded, ""),
        ("withheld", WHEATEAR, places.withheld, ""),
        ("obscured", OBSCURED, places.obscured, remark),
        ("public", MALLARD, places.public, ""),
    ]


def _rows(
    kind: str, lineage: tuple[str, ...], place: tuple[float, float], remark: str
) -> list[dict[str, str]]:
    """Records around a place, some without an id, one whose picture is missing, one of them twice.

    They spread by some hundred metres, as in the field; the last one's links name its place.
    """
    rows = []
    for number in range(RECORDS):
        latitude, longitude = place[0] + number * 0.0011, place[1] - number * 0.0013
        here = f"{latitude:.5f},{longitude:.5f}"
        tells = kind in {"rounded", "withheld"} and number >= RECORDS - 2
        rows.append(
            {
                # Ids that publishers gave are kept; those that are made must not tell.
                "occurrenceID": "" if tells else f"urn:{kind}:{number}",
                "scientificName": lineage[-1],
                **dict(zip(RANKS, lineage, strict=True)),
                "decimalLatitude": f"{latitude:.5f}",
                "decimalLongitude": f"{longitude:.5f}",
                "coordinateUncertaintyInMeters": ("", "25", "301")[number % 3],
                "eventDate": f"2020-0{1 + number}-11",
                "recordedBy": f"Observer {number % 2}",
                "license": "CC0-1.0",
                "references": f"https://example.org/?at={here}" if tells else "",
                "file": f"photos/{kind}-{here if tells and number % 2 else number}.jpg",
                "mediaLicense": "CC0",
                "informationWithheld": remark,
            }
        )
    missing = rows[-1]["file"].replace(".jpg", "-missing.jpg")
    lost = rows[-1] | {"file": missing, "occurrenceID": f"urn:{kind}:lost"}
    return [*rows, lost, rows[0]]


def _photo(path: Path, row: dict[str, str]) -> None:
    """A picture that is the same in both worlds, in a file that holds the exact place."""
    seed = sum(map(ord, row["scientificName"] + row["eventDate"]))
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = f"found at {row['decimalLatitude']}"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (
        float(row["decimalLatitude"].lstrip("-")),
        0.0,
        0.0,
    )
    target = BytesIO()
    Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC).save(
        target, "JPEG", exif=exif, comment=row["decimalLongitude"].encode()
    )
    path.write_bytes(target.getvalue())
