"""Writes the demonstration's photo folder, its records.csv and what a build must make of them.

Drawing runs in processes of its own; the same seed gives the same bytes on any number of them.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
from PIL import Image

from illustrated.drawing import draw
from illustrated.faults import EXTRA_ROWS, Made, with_faults
from illustrated.looks import Look
from illustrated.records import COLUMNS, RecordMaker

_CHUNK = 40
_QUALITY = 86
_ORIENTATION_TAG = 0x0112
_GPS_TAG = 0x8825
# How a picture must be stored so that a viewer who honours the EXIF orientation sees it upright.
_STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
_TURNED_EVERY, _LOCATED_EVERY = 83, 97


class PictureJob(msgspec.Struct, frozen=True, kw_only=True):
    """One file to draw; `orientation` is EXIF's, `latitude` and `longitude` go into EXIF too."""

    path: Path
    look: Look
    seed: int
    side_px: int
    truncated: bool
    orientation: int = 1
    place: tuple[float, float] | None = None


def make_atlas(
    out: Path, records: int, seed: int, side_px: int, done: Callable[[int], None]
) -> dict[str, int]:
    """Write OUT/images, OUT/records.csv and OUT/expected.json; returns counts by fate.

    records: rows of the table, bad ones included, at least three times EXTRA_ROWS. `done` is
    told how many more rows have their picture. Raises ValueError for too few records.
    """
    if records < 3 * EXTRA_ROWS:
        raise ValueError(f"records: at least {3 * EXTRA_ROWS}, for the bad ones to hide among")
    made = with_faults(RecordMaker(seed).make(records))
    images = out / "images"
    images.mkdir(parents=True, exist_ok=True)
    jobs = [job for number, one in enumerate(made) for job in _job(out, number, one, side_px)]
    chunks = [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]
    done(len(made) - len(jobs))
    with multiprocessing.get_context("spawn").Pool() as pool:
        for count in pool.imap_unordered(_draw_files, chunks):
            done(count)
    for one in made:
        file = out / one.record.row["file"]
        if one.picture == "text":
            file.write_text("This is a text file that somebody named like a picture.\n")
        elif one.picture == "copy":
            shutil.copyfile(out / one.copy_of, file)
    _write_table(out / "records.csv", made)
    return _write_expected(out / "expected.json", made, seed)


def _job(out: Path, number: int, one: Made, side_px: int) -> list[PictureJob]:
    """The file that a row needs drawn: none for a row whose file is missing, text or a copy."""
    if one.picture not in {"good", "truncated"}:
        return []
    row = one.record.row
    orientation, place = 1, None
    if one.fate == "kept" and number % _TURNED_EVERY == 5:
        orientation = list(_STORED_AS)[number // _TURNED_EVERY % len(_STORED_AS)]
    if one.fate == "kept" and number % _LOCATED_EVERY == 7:
        place = float(row["decimalLatitude"]), float(row["decimalLongitude"])
    return [
        PictureJob(
            path=out / row["file"],
            look=one.record.look,
            seed=one.record.seed,
            side_px=side_px,
            truncated=one.picture == "truncated",
            orientation=orientation,
            place=place,
        )
    ]


def _draw_files(jobs: list[PictureJob]) -> int:
    for job in jobs:
        _draw_file(job)
    return len(jobs)


def _draw_file(job: PictureJob) -> None:
    """Draw one JPEG file, with what its job asks for in its EXIF."""
    picture = draw(job.look, job.seed, job.side_px)
    exif = Image.Exif()
    if job.orientation != 1:
        picture = picture.transpose(_STORED_AS[job.orientation])
        exif[_ORIENTATION_TAG] = job.orientation
    if job.place is not None:
        latitude, longitude = job.place
        exif[_GPS_TAG] = {
            1: "N" if latitude >= 0 else "S",
            2: _sexagesimal(latitude),
            3: "E" if longitude >= 0 else "W",
            4: _sexagesimal(longitude),
        }
    picture.save(job.path, format="JPEG", quality=_QUALITY, exif=exif)
    if job.truncated:
        content = job.path.read_bytes()
        job.path.write_bytes(content[: len(content) // 3])


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    """Degrees, minutes and seconds, without sign."""
    minutes = abs(degrees) * 60
    return float(minutes // 60), float(int(minutes % 60)), round(minutes * 60 % 60, 2)


def _write_table(path: Path, made: list[Made]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(one.record.row for one in made)


def _write_expected(path: Path, made: list[Made], seed: int) -> dict[str, int]:
    """What a build must report: every row that is not simply kept, with its line in the table."""
    listed = [
        {
            "line": number + 2,
            "occurrenceID": one.record.row["occurrenceID"],
            "file": one.record.row["file"],
            "fate": one.fate,
            "reason": one.reason,
            **({"same_picture_as": one.copy_of} if one.copy_of else {}),
        }
        for number, one in enumerate(made)
        if one.fate != "kept"
    ]
    counts = {
        fate: sum(one.fate == fate for one in made) for fate in ("kept", "flagged", "rejected")
    }
    summary = {"seed": seed, "rows": len(made), **counts, "bad": listed}
    path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return counts
