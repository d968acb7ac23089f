"""Asks a built bundle through the atlas's own search code and prints the answers for people.

Knows search and the catalog, nothing of HTTP or of any one data set. One thread.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from atlas.bundle import Bundle
from atlas.catalog import Catalog, ImageRow
from atlas.search.encoder import Encoder
from atlas.search.filters import Filter
from atlas.search.pictures import read_picture
from atlas.search.planner import SearchSettings
from atlas.search.prompts import query_prompt
from atlas.search.retrieval import Page, Question, Retrieval
from atlas.species.names import TaxonNames

_MAX_PIXELS = 100_000_000
_SHOWN = 5

Vector = npt.NDArray[np.float32]


class Answer(NamedTuple):
    """A question in words, how it was limited, and what was found."""

    asked: str
    page: Page
    rows: tuple[ImageRow, ...]
    took_ms: float
    remark: str = ""

    def record(self) -> dict[str, Any]:
        """The answer as flat data; `first` and `score` belong to the best hit."""
        best = self.rows[0] if self.rows else None
        return {
            "asked": self.asked,
            "matching": self.page.matching,
            "path": self.page.plan.path,
            "search_ms": round(self.took_ms, 2),
            "first": best.taxon.scientific_name if best else None,
            "score": round(self.page.hits[0].score, 4) if best else None,
        }


class Asking:
    """One open bundle with one space, and the encoder of that space where it can be loaded."""

    def __init__(
        self, bundle: Bundle, catalog: Catalog, space: str, encoder: Encoder | None
    ) -> None:
        """Use `opened`."""
        self.bundle = bundle
        self.catalog = catalog
        self.retrieval = Retrieval(bundle, catalog, SearchSettings())
        self.space = space
        self._encoder = encoder

    def by_picture(self, path: Path, asked: str, limits: Filter | None = None) -> Answer:
        """The pictures nearest to an image file, which goes through the encoder again."""
        picture = read_picture(path.read_bytes(), max_pixels=_MAX_PIXELS)
        return self._ask(asked, self._tower().encode_pictures([picture])[0], limits)

    def by_words(self, words: str, limits: Filter | None = None, remark: str = "") -> Answer:
        """The pictures nearest to words."""
        prompt = query_prompt(self.bundle.spaces[self.space].prompts, words)
        vector = self._tower().encode_texts([prompt])[0]
        return self._ask(f"words: {words!r}", vector, limits, remark)

    def by_image(self, image_id: uuid.UUID, asked: str, limits: Filter | None = None) -> Answer:
        """The pictures nearest to a stored one."""
        return self._ask(asked, self.retrieval.vector(image_id, self.space), limits)

    def by_vector(self, vector: Vector, asked: str, limits: Filter | None = None) -> Answer:
        """The pictures nearest to a vector, (dim,)."""
        return self._ask(asked, vector, limits)

    def row_of(self, occurrence_id: str) -> ImageRow:
        """The first row of an occurrence; LookupError where the bundle has none."""
        found = self.catalog.rows("occurrence_id = ?", [occurrence_id])
        if not len(found):
            raise LookupError(f"{occurrence_id} is not in the bundle")
        return self.catalog.images(found[:1])[0]

    def taxon_id(self, name: str) -> int:
        """The taxon of exactly this name; LookupError where the bundle has none."""
        for match in TaxonNames(self.catalog).complete(name, 5):
            if match.match == "exact":
                return match.taxon_id
        raise LookupError(f"no taxon is named {name!r}")

    def _tower(self) -> Encoder:
        if self._encoder is None:
            raise LookupError(f"the encoder of space {self.space!r} is not loaded")
        return self._encoder

    def _ask(self, asked: str, vector: Vector, limits: Filter | None, remark: str = "") -> Answer:
        question = Question(
            space=self.space, vector=vector, filter=limits or Filter(), limit=_SHOWN
        )
        started_s = time.perf_counter()
        page = self.retrieval.search(question)
        took_ms = (time.perf_counter() - started_s) * 1e3
        rows = self.catalog.images([hit.row_id for hit in page.hits])
        return Answer(asked, page, rows, took_ms, remark)


@contextmanager
def opened(root: Path, encoder: Encoder | None) -> Iterator[Asking]:
    """Open and verify a bundle of one space for the length of a block."""
    bundle = Bundle.open(root)
    (space,) = bundle.spaces
    catalog = Catalog.open(bundle.catalog_path)
    try:
        yield Asking(bundle, catalog, space, encoder)
    finally:
        catalog.close()


def show(answer: Answer, console: Console) -> None:
    """Print one answer with what each hit carries: taxon, place, day, licence and holder."""
    console.print(f"[bold]{answer.asked}[/bold]")
    if answer.remark:
        console.print(f"  ({answer.remark})", highlight=False)
    table = Table("score", "taxon", "rank", "place", "day", "photo's licence", "holder", "record")
    for hit, row in zip(answer.page.hits, answer.rows, strict=True):
        table.add_row(
            f"{hit.score:.3f}",
            row.taxon.scientific_name,
            row.taxon.rank,
            _place(row),
            str(row.observed_from or ""),
            row.media_licence.code if row.media_licence else "",
            row.rights_holder or "",
            row.occurrence_id or "",
        )
    console.print(table)
    plan = answer.page.plan
    console.print(
        f"  {len(answer.rows)} of {answer.page.matching} photos that pass the filter, "
        f"{answer.page.held_back} held back for quality; path {plan.path}, "
        f"{plan.rows_scored} rows scored, {answer.took_ms:.1f} ms\n",
        highlight=False,
    )


def _place(row: ImageRow) -> str:
    if row.latitude is None or row.longitude is None:
        return ""
    known = f" ±{row.uncertainty_m:.0f} m" if row.uncertainty_m is not None else ""
    return f"{row.latitude:.3f}, {row.longitude:.3f}{known}"
