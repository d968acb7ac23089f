"""Holds a built bundle against the licence table it was made from, row by row.

Reads the licences in its own way, so that a mistake of the builder's does not hide itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atlas.bundle import Bundle
from atlas.catalog import Catalog, ImageRow
from atlas.search.pictures import hosted_copy, read_picture
from benchmarks.real.crops import FOLDER, Credit, occurrence_id, read_credits

_MAX_PIXELS = 100_000_000
_CODES = {"CC0": "CC0-1.0", "Public Domain": "PDM-1.0"}


def check_credits(bundle: Bundle, catalog: Catalog, data: Path, max_side_px: int) -> list[str]:
    """Every way in which the bundle's credits differ from the table's; [] when none does.

    Author, licence, page, and that the hosted picture is made of the very file the row names.
    """
    folder = data / FOLDER
    rows = catalog.images(np.arange(bundle.manifest.rows, dtype=np.int64))
    built = {row.occurrence_id: row for row in rows}
    problems: list[str] = []
    for credit in read_credits(folder / "LICENSE.md"):
        row = built.pop(occurrence_id(credit.file), None)
        exists = (folder / credit.file).is_file()
        if row is None or not exists:
            if row is not None or exists:
                problems.append(f"{credit.file}: in the bundle {row is not None}, on disk {exists}")
            continue
        problems += _differences(credit, row)
        picture = read_picture((folder / credit.file).read_bytes(), max_pixels=_MAX_PIXELS)
        if bundle.picture(row.row_id) != hosted_copy(picture, max_side_px):
            problems.append(f"{credit.file}: the bundle shows another picture")
    problems += [f"{left}: no row of the table names it" for left in built]
    return problems


def _differences(credit: Credit, row: ImageRow) -> list[str]:
    wanted = {
        "author": (credit.author, row.rights_holder),
        "licence": (
            _CODES.get(credit.licence, credit.licence.replace(" ", "-")),
            row.media_licence and row.media_licence.code,
        ),
        "page": (credit.url, row.reference_url),
    }
    return [
        f"{credit.file}: {name} is {got!r}, the table says {said!r}"
        for name, (said, got) in wanted.items()
        if said != got
    ]
