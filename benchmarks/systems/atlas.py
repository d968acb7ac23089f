"""The atlas itself: a bundle built by the builder, asked through the server's own objects."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq

from atlas.bundle.bundle import Bundle
from atlas.bundle.segment import ROWS
from atlas.catalog import Catalog
from atlas.search.filters import Filter
from atlas.search.planner import SearchSettings
from atlas.search.retrieval import Page, Question, Retrieval
from benchmarks.conditions import Condition, WorldOnDisk
from benchmarks.systems.system import RowNumbers, Vector
from benchmarks.systems.world_bundle import build_world
from benchmarks.systems.world_source import SPACE
from benchmarks.worlds import SOURCES


class AtlasSystem:
    """Answers as `POST /v1/search` does, without HTTP."""

    settings = "the server's own search with its default settings, bundle mapped from disk"
    reads_vectors = False
    most_questions = 1_000_000

    def __init__(self, settings: SearchSettings | None = None, factory: str = "auto") -> None:
        """`settings` and `factory` are the server's and the builder's defaults where not given."""
        self._search = settings or SearchSettings()
        self._factory = factory

    def prepare(self, data: WorldOnDisk, folder: Path) -> None:
        """Build the bundle where there is none, and open it as the server does."""
        self._open(data, folder)

    def _open(self, data: WorldOnDisk, folder: Path) -> None:
        timings = folder / "timings.json"
        if not timings.exists():
            seconds = build_world(data, folder, self._factory)
            shutil.rmtree(folder / "work")
            timings.write_bytes(msgspec.json.encode(seconds))
        self.timings = msgspec.json.decode(timings.read_bytes(), type=dict[str, float])
        bundle = Bundle.open(folder / "bundle", "sizes")
        self._catalog = Catalog.open(bundle.catalog_path)
        self._retrieval = Retrieval(bundle, self._catalog, self._search)
        self.factory = bundle.spaces[SPACE].factory
        self._row_of = _world_rows(bundle, data)
        self._taxon_of = self._taxa(data)

    def _taxa(self, data: WorldOnDisk) -> dict[tuple[int, int], int]:
        """Taxon id of each node of the world's tree: where its path of names leads."""
        found = self._catalog.table("SELECT taxon_id, path FROM taxon")
        by_path = {
            tuple(path): int(taxon_id)
            for taxon_id, path in zip(found["taxon_id"], found["path"], strict=True)
        }
        lineages = data.world.lineages
        ranks = len(lineages.names)
        of_node = {}
        for nodes in lineages.nodes.tolist():
            names = [lineages.names[depth][node] for depth, node in enumerate(nodes)]
            for depth, node in enumerate(nodes):
                path = (*names[: depth + 1], *[""] * (ranks - depth - 1))
                if names[depth] and path in by_path:
                    of_node[depth, node] = by_path[path]
        return of_node

    def ask(self, query: Vector, condition: Condition, count: int) -> RowNumbers:
        """Up to `count` row numbers of the world, best first."""
        return self._rows_of(self.page(query, condition, count))

    def exact(self, query: Vector, condition: Condition, count: int) -> RowNumbers:
        """The same with every passing row scored."""
        return self._rows_of(self.page(query, condition, count, exact=True))

    def page(self, query: Vector, condition: Condition, count: int, *, exact: bool = False) -> Page:
        """The whole page, with the exact number of rows that pass."""
        asked = Question(
            space=SPACE, vector=query, filter=self._filter(condition), limit=count, exact=exact
        )
        return self._retrieval.search(asked)

    def _rows_of(self, page: Page) -> RowNumbers:
        ids = np.fromiter((hit.row_id for hit in page.hits), np.int64, len(page.hits))
        rows: RowNumbers = self._row_of[ids]
        return rows

    def _filter(self, condition: Condition) -> Filter:
        return Filter(
            flags="all",  # other systems know no quality flags, and places are made up
            taxon=None if condition.taxon is None else self._taxon_of[condition.taxon],
            bbox=condition.box,
            months=None if condition.month is None else (condition.month,),
            sources=None if condition.source is None else (SOURCES[condition.source][0],),
        )

    def close(self) -> None:
        """Close the catalog."""
        self._catalog.close()


def _world_rows(bundle: Bundle, data: WorldOnDisk) -> RowNumbers:
    """For each row id of the bundle its number in the world, by image id."""
    ids = np.concatenate(
        [
            np.array(
                pq.read_table(bundle.root / "segments" / segment.name / ROWS, columns=["image_id"])[
                    "image_id"
                ].to_pylist()
            )
            for segment in bundle.manifest.segments
        ]
    )
    of_bundle = np.array([bytes.fromhex(text.replace("-", "")) for text in ids.tolist()], "S16")
    of_world = np.ascontiguousarray(data.columns["uuid"]).view("S16").ravel()
    order = np.argsort(of_world, kind="stable")
    at = np.searchsorted(of_world, of_bundle, sorter=order)
    rows: RowNumbers = order[at].astype(np.int64)
    return rows
