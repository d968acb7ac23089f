"""What maps are asked: tiles, distributions and gaps, where records are.

Questions are drawn from the records themselves, so common taxa and crowded places are asked for
more often, as people do. Each answer comes through the objects that the API calls.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.catalog import Catalog
from atlas.geo.cells import parse_cell
from atlas.geo.land import land_share
from atlas.geo.layers import Layers
from atlas.geo.tiles import Tile
from atlas.species import maps as species
from atlas.species.gap_detail import GapDetails
from atlas.species.gap_survey import GapQuestion, GapSurvey
from atlas.species.gaps import GapSettings, SamplingState
from atlas.species.layers import LayerName
from atlas.species.map_settings import MapSettings
from atlas.species.occupancy import EVERY_RECORD, RecordFilter
from atlas.species.surroundings import Surroundings
from atlas.species.unrecorded import UnrecordedSpecies
from benchmarks.occurrences import FINEST

Record = dict[str, Any]
T = TypeVar("T")
ZOOMS = (0, 3, 6, 9)
CASES = ("species", "class", "all life")
_OTHER_LAYERS: tuple[LayerName, ...] = ("richness", "effort", "completeness", "gaps")
_DRAWN = 4_000
_CLASSES = 10
# A common species has more cells at resolution 5 than a server lists unless it is told to.
_MOST_CELLS = 500_000
_AS_OF = dt.date(2026, 1, 1)
_FILTERS = {
    "a month": RecordFilter(months=(5,)),
    "a source": RecordFilter(source_ids=(1,)),
}


class Asked(NamedTuple):
    """A taxon where one of its records is."""

    taxon_id: int
    latitude: float
    longitude: float

    def tile(self, zoom: int) -> Tile:
        """The tile of that record."""
        across = 1 << zoom
        # Web mercator ends at 85 degrees.
        sine = math.sin(math.radians(max(-85.0, min(85.0, self.latitude))))
        down = 0.5 - math.log((1 + sine) / (1 - sine)) / (4 * math.pi)
        x = int((self.longitude + 180) / 360 * across)
        return Tile(zoom, min(x, across - 1), min(int(down * across), across - 1))


class Maps:
    """The reading side of a catalog, put together as the server does."""

    def __init__(self, path: Path, threads: int) -> None:
        """Open the catalog at `path`."""
        self.catalog = Catalog.open(path, threads=threads)
        maps = species.Maps.of(
            self.catalog,
            finest=FINEST,
            demonstration=False,
            settings=MapSettings(max_cells=_MOST_CELLS),
            gaps=GapSettings(),
        )
        self.occupancy = maps.occupancy
        self.distributions = maps.distributions
        self.tiles = maps.tiles
        self._target_groups = maps.target_groups

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()

    def gaps(self) -> tuple[GapSurvey, GapDetails]:
        """What ranks gaps and what explains a cell, put together as the server does."""
        settings = GapSettings()
        survey = GapSurvey(
            self.catalog,
            self.occupancy,
            target_group=self._target_groups.of,
            land_share=land_share,
            settings=settings,
            as_of=_AS_OF,
        )
        unrecorded = UnrecordedSpecies(
            self.catalog, self.occupancy, settings, Surroundings(Layers())
        )
        return survey, GapDetails(survey, self.catalog, self.occupancy, unrecorded, settings)

    def drawn(self, case: str, count: int, seed: int) -> list[Asked]:
        """Questions about taxa of one case, one a record that was drawn at random."""
        rng = np.random.default_rng([seed, CASES.index(case)])
        (rows,) = self.catalog.table("SELECT max(row_id) AS last FROM image")["last"].tolist()
        ids = np.sort(rng.choice(rows + 1, min(_DRAWN, rows + 1), replace=False))
        found = self.catalog.table(
            "SELECT row_id, taxon_id, latitude, longitude FROM image "
            "WHERE row_id IN (SELECT unnest(?::BIGINT[])) AND counted ORDER BY row_id",
            [ids],
        )
        taxa = found["taxon_id"]
        if case == "species":
            taxa = self.occupancy.species_of(taxa)
        elif case == "class":
            taxa = self._class_of(taxa)
        else:
            taxa = np.zeros(len(taxa), np.int64)
        asked = [
            Asked(int(taxon), float(lat), float(lon))
            for taxon, lat, lon in zip(taxa, found["latitude"], found["longitude"], strict=True)
            if taxon >= 0
        ]
        return [asked[i] for i in rng.permutation(len(asked))[:count]]

    def _class_of(self, taxa: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        classes = self.catalog.table(
            "SELECT taxon_id, last_descendant FROM taxon WHERE rank = 'class' ORDER BY taxon_id"
        )
        place = np.searchsorted(classes["taxon_id"], taxa, side="right") - 1
        inside = (place >= 0) & (taxa <= classes["last_descendant"][place])
        return np.where(inside, classes["taxon_id"][place], -1)


def timed(case: str, ask: Callable[[T], object], given: Iterable[T]) -> Record:
    """The record of a series of questions, asked one after the other.

    `p50_cpu_ms` is processor time of all threads, which other work on the machine hardly changes.
    """
    took, busy = [], []
    for one in given:
        started, busy_s = time.perf_counter(), time.process_time()
        ask(one)
        took.append(1e3 * (time.perf_counter() - started))
        busy.append(1e3 * (time.process_time() - busy_s))
    return {
        "case": case,
        "asked": len(took),
        "p50_ms": round(float(np.quantile(took, 0.5)), 2),
        "p99_ms": round(float(np.quantile(took, 0.99)), 2),
        "max_ms": round(max(took), 2),
        "p50_cpu_ms": round(float(np.quantile(busy, 0.5)), 2),
        "p99_cpu_ms": round(float(np.quantile(busy, 0.99)), 2),
    }


def tile_records(maps: Maps, count: int, seed: int) -> list[Record]:
    """Times of tiles by case and zoom; every tile is another question, none is asked before.

    The layers beside `occurrence` show a target group, so they are asked of classes.
    """
    records: list[Record] = []
    for case in CASES:
        asked = maps.drawn(case, count, seed)
        for zoom in ZOOMS:
            draw = partial(_draw, maps, "occurrence", zoom)
            records.append(timed(f"tile: {case}, z {zoom}", draw, asked))
    for layer in _OTHER_LAYERS:
        draw = partial(_draw, maps, layer, 6)
        asked = maps.drawn("class", count, seed + 1)
        records.append(timed(f"layer {layer}: class, z 6", draw, asked))
    return records


def filtered_tile_records(maps: Maps, count: int, seed: int) -> list[Record]:
    """Times of tiles under a filter that nothing was asked under before, the finest zoom first."""
    records: list[Record] = []
    for case in CASES:
        asked = maps.drawn(case, count, seed + 2)
        for name, only in _FILTERS.items():
            for zoom in reversed(ZOOMS[1:]):
                draw = partial(_draw, maps, "occurrence", zoom, only=only)
                records.append(timed(f"filtered tile, {name}: {case}, z {zoom}", draw, asked))
    return records


def _draw(
    maps: Maps, layer: LayerName, zoom: int, one: Asked, only: RecordFilter = EVERY_RECORD
) -> bytes:
    return maps.tiles.encode(layer, one.tile(zoom), one.taxon_id, only)


def distribution_records(maps: Maps, count: int) -> list[Record]:
    """Times of distributions of common species, as JSON, at the API's own resolution and finer."""
    common = _common_species(maps, count)
    return [
        timed(f"distribution: resolution {resolution}", partial(_list, maps, resolution), common)
        for resolution in (4, 5)
    ]


def _list(maps: Maps, resolution: int, taxon_id: int) -> bytes:
    return msgspec.json.encode(maps.distributions.read(taxon_id, resolution).listed())


def _common_species(maps: Maps, count: int) -> list[int]:
    found = maps.catalog.table(
        f"SELECT taxon_id FROM taxon WHERE rank = 'species' ORDER BY images DESC LIMIT {count}"
    )
    return [int(taxon) for taxon in found["taxon_id"]]


def gap_records(maps: Maps, seed: int) -> list[Record]:
    """Times of gaps of a class, ranked over the whole world at resolution 4, and of one cell.

    The first question of all makes the cells of the world and their land; a class is asked for the
    first time, then again. An answer is timed to its bytes.
    """
    classes = sorted({one.taxon_id for one in maps.drawn("class", 200, seed)})[:_CLASSES]
    survey, details = maps.gaps()

    def rank(taxon_id: int) -> bytes:
        return msgspec.json.encode(survey.rank(GapQuestion(taxa={taxon_id: 1.0})))

    def best(taxon_id: int) -> tuple[int, int]:
        states: tuple[SamplingState, ...] = ("under_sampled", "well_sampled", "insufficient")
        (found,) = survey.rank(GapQuestion(taxa={taxon_id: 1.0}, states=states, limit=1)).gaps
        return parse_cell(found.cell), taxon_id

    def explain(cell: tuple[int, int]) -> bytes:
        return msgspec.json.encode(details.explain(*cell))

    return [
        timed("gaps, world, resolution 4: the first question of all", rank, classes[:1]),
        timed("gaps of a class, world, resolution 4: first", rank, classes),
        timed("gaps of a class, world, resolution 4: warm", rank, classes * 3),
        timed("gaps: one cell explained", explain, list(map(best, classes))),
    ]
