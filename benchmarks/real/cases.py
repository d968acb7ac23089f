"""What each real data set is asked, and what is checked of it beyond the answers.

Every case names its questions in full, so that the printed report reads by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from atlas.search.filters import DateRange, Filter
from benchmarks.real import camera_traps, crops, embeddings
from benchmarks.real.credit import check_credits
from benchmarks.real.questions import Answer, Asking

_BELGIUM = (2.5, 49.5, 6.4, 51.6)
_APRIL = DateRange(first=date(2021, 4, 1), last=date(2021, 4, 30))
_MAX_SIDE_PX = 1024


class Findings(NamedTuple):
    """Answers, lines for the report, measured numbers by name, and what is wrong."""

    answers: list[Answer]
    notes: list[str]
    numbers: Mapping[str, float]
    problems: list[str]


def ask_crops(asking: Asking, data: Path, words_remark: str) -> Findings:
    """By picture, by words, by stored id within a family; and every credit is checked."""
    photo = data / crops.FOLDER / "orange.jpg"
    apple = asking.row_of(crops.occurrence_id("apple.jpg"))
    roses = Filter(taxon=asking.taxon_id("Rosaceae"))
    answers = [
        asking.by_picture(photo, "picture: orange.jpg, the file itself"),
        asking.by_words("a bunch of ripe bananas", remark=words_remark),
        asking.by_image(
            apple.image_id, "stored photo apple.jpg, within Rosaceae and all below it", roses
        ),
    ]
    problems = check_credits(asking.bundle, asking.catalog, data, _MAX_SIDE_PX)
    orange = answers[0].rows[0].occurrence_id
    if orange != crops.occurrence_id("orange.jpg"):
        problems.append(f"orange.jpg finds {orange} before itself")
    rows = asking.bundle.manifest.rows
    verdict = "; ".join(problems) or (
        f"the author, licence, page and picture of all {rows} rows equal the table's"
    )
    return Findings(answers, [f"credit: {verdict}"], {"credits_checked": rows}, problems)


def ask_camera_traps(asking: Asking, data: Path, words_remark: str) -> Findings:
    """By picture, by words in Belgium in a month, after the last day of it, and by taxon."""
    _, media, _ = camera_traps.read_tables(data / camera_traps.FOLDER)
    here = sorted(row["filePath"] for row in media.values() if row["filePath"].startswith("media/"))
    photo = data / camera_traps.FOLDER / here[0]
    answers = [
        asking.by_picture(photo, f"picture: {photo.name}, the file itself"),
        asking.by_words(
            "a heron in the water at night",
            Filter(bbox=_BELGIUM, observed=_APRIL),
            f"in the box of Belgium, in April 2021; {words_remark}",
        ),
        asking.by_picture(
            photo,
            "the same picture, in the box of Belgium, from May 2021 on (no camera stood then)",
            Filter(bbox=_BELGIUM, observed=DateRange(first=date(2021, 5, 1))),
        ),
        asking.by_image(
            asking.catalog.image_id_of(0),
            "a stored photo, within Ardea and all below it",
            Filter(taxon=asking.taxon_id("Ardea")),
        ),
    ]
    return Findings(answers, [], {}, [])


def ask_embeddings(asking: Asking, data: Path, words_remark: str) -> Findings:  # noqa: ARG001 - one signature for all cases
    """By stored id, within a class, by a mean vector; and how often neighbours are kin."""
    bundle, catalog = asking.bundle, asking.catalog
    birds = asking.taxon_id("Aves")
    first, last = catalog.taxon_interval(birds)
    row_ids = catalog.rows("taxon_id BETWEEN ? AND ?", [first, last])
    bird = catalog.images(row_ids[:1])[0]
    frogs = catalog.rows(
        "taxon_id BETWEEN ? AND ?", catalog.taxon_interval(asking.taxon_id("Amphibia"))
    )
    stored = bundle.segments[0].vectors(asking.space)
    answers = [
        asking.by_image(bird.image_id, f"stored vector of {bird.taxon.scientific_name}"),
        asking.by_image(
            bird.image_id,
            f"stored vector of {bird.taxon.scientific_name}, within Insecta and all below it",
            Filter(taxon=asking.taxon_id("Insecta")),
        ),
        asking.by_vector(
            np.asarray(stored[frogs], np.float32).mean(axis=0),
            f"raw vector: the mean of all {len(frogs)} Amphibia",
        ),
    ]
    shares = embeddings.agreement(bundle, catalog, asking.retrieval)
    notes = [
        "nearest other row has the same name, among rows with a name; in brackets as stated",
        "(the build takes `incertae sedis` for no name, the statement counts it as a kingdom):",
    ]
    notes += [
        f"  {rank} {share:.3f}"
        + (f" ({embeddings.STATED[rank]:.2f})" if rank in embeddings.STATED else "")
        for rank, share in shares.items()
    ]
    problems = [
        f"{rank}: {shares[rank]:.3f} agree, {stated:.2f} is stated"
        for rank, stated in embeddings.STATED.items()
        if abs(shares[rank] - stated) > 0.02
    ]
    return Findings(
        answers,
        notes,
        {f"same_{rank}": round(share, 4) for rank, share in shares.items()},
        problems,
    )
