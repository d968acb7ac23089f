"""Vector tiles of the map's layers, made when they are asked for.

Reads only the cells that touch the tile: descendants of a cell are one contiguous range of
numbers, and counts are sorted by cell. A record is drawn no finer than its uncertainty. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.geo.cells import area_km2
from atlas.geo.land import land_share
from atlas.geo.outlines import Floats
from atlas.geo.ranges import Ranges, tile_cells, tile_ranges
from atlas.geo.tiles import Tile, encode_cells, resolution_for_zoom
from atlas.species.cell_columns import filled, matched
from atlas.species.completeness import CompletenessArrays, completeness_of, ignorance
from atlas.species.gap_habitat import Habitats
from atlas.species.gaps import NO_DATA, STATES, GapSettings, cell_states
from atlas.species.kernel import reporting_rate
from atlas.species.layers import LAYERS, LayerName
from atlas.species.map_settings import MapSettings
from atlas.species.occupancy import (
    EVERY_RECORD,
    UNKNOWN_DAY,
    CellCounts,
    CoarseCounts,
    Occupancy,
    RecordFilter,
)
from atlas.species.target_group import TargetGroups

Values = Mapping[str, npt.NDArray[Any]]


class MapTiles:
    """Encodes tiles of every layer."""

    def __init__(
        self,
        occupancy: Occupancy,
        target_groups: TargetGroups,
        settings: MapSettings,
        gaps: GapSettings,
        habitats: Habitats,
    ) -> None:
        self._occupancy = occupancy
        self._habitats = habitats
        self._groups = target_groups
        self._half = settings.half_confidence_visits
        self._gaps = gaps
        self._values: dict[LayerName, Callable[[CellCounts], Values]] = {
            "richness": _richness,
            "effort": self._effort,
            "completeness": self._completeness,
        }

    def encode(
        self, layer: LayerName, tile: Tile, taxon_id: int, only: RecordFilter = EVERY_RECORD
    ) -> bytes:
        """The tile as MVT with one layer; empty when it has no cell.

        `LAYERS` names the fields of each layer. `only` says which records count, of the taxon and
        of its target group alike. Raises NotFound for an unknown taxon.
        """
        resolution = min(resolution_for_zoom(tile.z), self._occupancy.finest)
        ranges = tile_ranges(tile, resolution)
        if layer == "occurrence":
            return self._occurrence(tile, taxon_id, resolution, ranges, only)
        counted = taxon_id
        if LAYERS[layer].whose == "target group":
            counted = self._groups.of(taxon_id).taxon_id
        counts = self._occupancy.cells(counted, resolution, ranges=ranges, filter=only)
        if layer == "gaps":
            return self._gaps_of(tile, resolution, counted, counts)
        return encode_cells(tile, layer, counts.cell, self._values[layer](counts))

    def _gaps_of(self, tile: Tile, resolution: int, group_id: int, counts: CellCounts) -> bytes:
        """Cells with records, and those without where the group may live: nobody looked there."""
        unmet = np.setdiff1d(tile_cells(tile, resolution), counts.cell, assume_unique=True)
        on = self._habitats.of(group_id, {group_id: 1.0}).lives.on
        unmet = unmet[self._habitats.habitable(land_share(unmet), on)]
        searched = self._sampling(counts)
        without = np.arange(len(unmet) + len(counts.cell)) < len(unmet)
        values = {name: _behind_unknown(known, without) for name, known in searched.items()}
        states = np.concatenate([np.repeat(STATES[NO_DATA], len(unmet)), searched["state"]])
        zeros = np.zeros(len(unmet), np.int64)
        counted = {name: np.concatenate([zeros, searched[name]]) for name in ("species", "visits")}
        cells = np.concatenate([unmet, counts.cell])
        return encode_cells(tile, "gaps", cells, {**values, "state": states, **counted})

    def _occurrence(
        self, tile: Tile, taxon_id: int, resolution: int, ranges: Ranges, only: RecordFilter
    ) -> bytes:
        group = self._groups.of(taxon_id).taxon_id
        own = self._occupancy.cells(taxon_id, resolution, ranges=ranges, filter=only)
        coarse = self._occupancy.coarse(taxon_id, resolution, ranges=ranges, filter=only)
        if not len(own.cell) and not len(coarse.cell):
            return b""
        effort = own
        if group != taxon_id and len(own.cell):
            effort = self._occupancy.cells(group, resolution, ranges=ranges, filter=only)
        # Coarse cells first: the finer ones are drawn over them.
        cells = np.concatenate([coarse.cell, own.cell])
        return encode_cells(tile, "occurrence", cells, self._beside(own, effort, coarse))

    def _beside(self, own: CellCounts, effort: CellCounts, coarse: CoarseCounts) -> Values:
        """Fields of the layer `occurrence`; of coarse cells no more is known than the number."""
        at, here = matched(own.cell, effort.cell)
        visits = filled(effort.visits, at, here, 0)
        rate = reporting_rate(own.visits, visits).rate
        known: Values = {
            "observers": own.observers,
            "visits": own.visits,
            "per_1000_km2": _per_1000_km2(own),
            "effort": filled(effort.n, at, here, 0),
            "effort_visits": visits,
            "rate": rate.astype(np.float32),
            "confidence": self._confidence(visits),
        }
        is_coarse = np.arange(len(coarse.cell) + len(own.cell)) < len(coarse.cell)
        return {
            "n": np.concatenate([coarse.n, own.n]),
            "coarse": is_coarse,
            **{name: _behind_unknown(values, is_coarse) for name, values in known.items()},
        }

    def _effort(self, counts: CellCounts) -> Values:
        return {
            "visits": counts.visits,
            "n": counts.n,
            "observers": counts.observers,
            "per_1000_km2": _per_1000_km2(counts),
            "last_year": _last_year(counts),
            "confidence": self._confidence(counts.visits),
        }

    def _completeness(self, counts: CellCounts) -> Values:
        complete = _complete(counts)
        state = cell_states(counts, self._gaps)
        enough = state > STATES.index("insufficient")
        return {
            "coverage": np.where(enough, complete.coverage, np.nan).astype(np.float32),
            "species": counts.species,
            "at_least": np.round(complete.richness, 1).astype(np.float32),
            "visits": counts.visits,
            "state": np.array(STATES)[state],
        }

    def _sampling(self, counts: CellCounts) -> Values:
        return {
            "state": np.array(STATES)[cell_states(counts, self._gaps)],
            "species": counts.species,
            "visits": counts.visits,
            "new_species": np.where(
                counts.visits > 0, np.round(_complete(counts).slope, 3), np.nan
            ).astype(np.float32),
            "last_year": _last_year(counts),
            "confidence": self._confidence(counts.visits),
        }

    def _confidence(self, visits: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return np.round(1.0 - ignorance(visits, self._half), 3).astype(np.float32)


def _richness(counts: CellCounts) -> Values:
    return {
        "species": counts.species,
        "n": counts.n,
        "observers": counts.observers,
        "visits": counts.visits,
    }


def _complete(counts: CellCounts) -> CompletenessArrays:
    return completeness_of(counts.species, counts.q1, counts.q2, counts.visits, counts.incidences)


def _per_1000_km2(counts: CellCounts) -> npt.NDArray[np.float32]:
    """Cells of one resolution differ in area by up to a factor of two."""
    per_km2: Floats = counts.n / area_km2(counts.cell)
    return (1000.0 * per_km2).astype(np.float32)


def _last_year(counts: CellCounts) -> npt.NDArray[Any]:
    """Year of the last dated record, masked where none is."""
    unknown = counts.last_day == UNKNOWN_DAY
    years = np.where(unknown, 0, counts.last_day).astype("datetime64[D]").astype("datetime64[Y]")
    return np.ma.masked_array(years.astype(np.int64) + 1970, unknown)


def _behind_unknown(
    values: npt.NDArray[Any], unknown: npt.NDArray[np.bool_]
) -> np.ma.MaskedArray[Any, Any]:
    """The values of all cells that are not `unknown`, which come first; those are masked."""
    whole = np.zeros(len(unknown), values.dtype)
    whole[~unknown] = np.asarray(values)
    mask = unknown.copy()
    mask[~unknown] = np.ma.getmaskarray(values)
    return np.ma.masked_array(whole, mask)
