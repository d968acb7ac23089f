"""Species that a cell's neighbours hold and it does not: how probable they are, and the evidence.

The estimate is `expected`'s; here are the neighbourhood that it is made from and the records that
speak for each species. Reads `Occupancy` and the catalog; any thread.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt
from pyproj import Geod

from atlas.catalog import Catalog
from atlas.geo.cells import descendant_range, format_cell, resolution_of
from atlas.geo.outlines import Cells
from atlas.species.distribution import TargetGroup
from atlas.species.expected import ExpectedSpecies as Estimate
from atlas.species.expected import expected_species
from atlas.species.gap_answers import ExpectedSpecies, NeighbourCell, Sighting, Unrecorded
from atlas.species.gaps import GapSettings
from atlas.species.neighbours import around
from atlas.species.occupancy import UNKNOWN_DAY, Occupancy, SpeciesInCells
from atlas.species.surroundings import Surroundings

# 817 cells, some 700 km around at resolution 4. Beyond 1,000 km, or the 400 nearest with records,
# no cell counts.
RINGS = 16
_MOST_NEIGHBOURS_LISTED = 6
_MOST_SIGHTINGS = 3
_EPOCH = dt.date(1970, 1, 1)
_WGS84 = Geod(ellps="WGS84")


class Neighbourhood(NamedTuple):
    """Cells around one and the species in them: (n,) cells nearest first, the cell itself at 0.

    `presence` bool (n, s) for species by taxon id (s,), ascending.
    """

    cells: Cells
    steps: npt.NDArray[np.int64]
    species: npt.NDArray[np.int32]
    presence: npt.NDArray[np.bool_]
    found: SpeciesInCells


def neighbourhood(
    occupancy: Occupancy, cell: int, taxon_id: int, rings: int = RINGS
) -> Neighbourhood:
    """The disk around a cell and the species of a taxon that were recorded in it."""
    cells, steps = around(cell, rings)
    found = occupancy.species_in(cells, taxon_id)
    species, column = np.unique(found.taxon_id, return_inverse=True)
    order = np.argsort(cells)
    row = order[np.searchsorted(cells[order], found.cell)]
    presence = np.zeros((len(cells), len(species)), np.bool_)
    presence[row, column] = True
    return Neighbourhood(cells, steps, species.astype(np.int32), presence, found)


def _away_km(cells: Cells) -> npt.NDArray[np.float64]:
    """Great-circle distance of each cell's centre from the first one's."""
    centres = [h3.cell_to_latlng(cell) for cell in cells.tolist()]
    return np.array([h3.great_circle_distance(centres[0], centre) for centre in centres])


class Evidence:
    """Finds what speaks for a species: the cells nearby that hold it, and its nearest records."""

    def __init__(self, catalog: Catalog, occupancy: Occupancy) -> None:
        self._catalog = catalog
        self._occupancy = occupancy

    def cells(self, near: Neighbourhood, column: int) -> list[NeighbourCell]:
        """The nearest cells with the species of a column."""
        rows = np.flatnonzero(near.presence[:, column])[:_MOST_NEIGHBOURS_LISTED]
        mine = near.found.taxon_id == near.species[column]
        records = dict(
            zip(near.found.cell[mine].tolist(), near.found.n[mine].tolist(), strict=True)
        )
        visits = dict(
            zip(near.found.cell[mine].tolist(), near.found.visits[mine].tolist(), strict=True)
        )
        return [
            NeighbourCell(
                cell=format_cell(cell), steps=steps, records=records[cell], visits=visits[cell]
            )
            for cell, steps in zip(
                near.cells[rows].tolist(), near.steps[rows].tolist(), strict=True
            )
        ]

    def sightings(self, near: Neighbourhood, column: int) -> list[Sighting]:
        """The species' records nearest to the centre of the cell, one a record.

        They are sought in the nearest cells that hold it and one ring beyond, for a record at the
        near edge of a cell may be nearer than one at the far edge of a nearer cell.
        """
        rows = np.flatnonzero(near.presence[:, column])
        rows = rows[near.steps[rows] <= near.steps[rows[0]] + 1]
        found = self._records(int(near.species[column]), near.cells[rows])
        latitude, longitude = h3.cell_to_latlng(int(near.cells[0]))
        here = np.full(len(found["latitude"]), longitude), np.full(len(found["latitude"]), latitude)
        _, _, metres = _WGS84.inv(*here, found["longitude"], found["latitude"])
        order = np.lexsort((found["row_id"], metres))[:_MOST_SIGHTINGS]
        return [
            Sighting(
                row_id=int(found["row_id"][place]),
                distance_km=round(float(metres[place]) / 1000.0, 1),
                observed_on=_day(int(found["day"][place])),
            )
            for place in order.tolist()
        ]

    def _records(self, species_id: int, cells: Cells) -> dict[str, npt.NDArray[Any]]:
        finest = self._occupancy.finest
        coarsest = int(resolution_of(cells[:1])[0])
        ranges = [
            descendant_range(cell, level)
            for cell in cells.tolist()
            for level in range(coarsest, finest + 1)
        ]
        # Numbers of our own making, written out: DuckDB skips blocks by constants.
        inside = " OR ".join(f"cell BETWEEN {low} AND {high}" for low, high in ranges)
        return self._catalog.table(
            "SELECT row_id, latitude, longitude, CASE WHEN observed_from = observed_to "
            f"THEN observed_from - DATE '1970-01-01' ELSE {UNKNOWN_DAY} END::INTEGER AS day "
            f"FROM image WHERE counted AND taxon_id BETWEEN ? AND ? AND ({inside})",
            self._catalog.taxon_interval(species_id),
        )


def _day(days: int) -> dt.date | None:
    return None if days == UNKNOWN_DAY else _EPOCH + dt.timedelta(days=days)


class UnrecordedSpecies:
    """Lists what is expected in a cell and not recorded there."""

    def __init__(
        self,
        catalog: Catalog,
        occupancy: Occupancy,
        settings: GapSettings,
        surroundings: Surroundings,
    ) -> None:
        self._catalog = catalog
        self._occupancy = occupancy
        self._settings = settings
        self._surroundings = surroundings
        self._evidence = Evidence(catalog, occupancy)

    def expected(self, cell: int, taxon_id: int, group: TargetGroup) -> Unrecorded:
        """Species of a taxon expected in a cell, from the fauna of its whole group."""
        near = neighbourhood(self._occupancy, cell, group.taxon_id)
        searched = int(near.presence[1:].any(axis=1).sum())
        likeness = self._surroundings.likeness(near.cells)
        estimate = expected_species(near.presence, _away_km(near.cells), likeness=likeness)
        if estimate is None:
            return _nothing(searched, f"no species of {group.scientific_name} is recorded nearby")
        if estimate.doubt is not None:
            return _answer(estimate, searched, f"not reliable: {estimate.doubt}", [], 0)
        first, last = self._catalog.taxon_interval(taxon_id)
        wanted = (
            ~near.presence[0]
            & (near.species >= first)
            & (near.species <= last)
            & (estimate.probabilities >= self._settings.least_probability)
        )
        columns = np.flatnonzero(wanted)
        columns = columns[np.lexsort((columns, -estimate.probabilities[columns]))]
        listed = columns[: self._settings.most_expected].tolist()
        why = (
            f"from the species of {group.scientific_name} in {searched} cells within {RINGS} "
            f"steps, weighed as {estimate.effective_cells:.0f} cells"
        )
        if likeness is not None:
            why += ", by nearness, fauna and surroundings"
        species = [self._species(near, estimate, column) for column in listed]
        return _answer(estimate, searched, why, species, len(columns) - len(listed))

    def _species(self, near: Neighbourhood, estimate: Estimate, column: int) -> ExpectedSpecies:
        (label,) = self._catalog.taxon_labels([int(near.species[column])])
        return ExpectedSpecies(
            taxon_id=label.taxon_id,
            scientific_name=label.scientific_name,
            common_name=label.common_name,
            probability=round(float(estimate.probabilities[column]), 4),
            by_now=round(float(estimate.own_effort[column]), 4),
            frequency=round(float(estimate.frequencies[column]), 4),
            cells=int(near.presence[:, column].sum()),
            neighbours=self._evidence.cells(near, column),
            sightings=self._evidence.sightings(near, column),
        )


def _answer(
    estimate: Estimate, searched: int, why: str, species: list[ExpectedSpecies], more: int
) -> Unrecorded:
    return Unrecorded(
        reliable=estimate.doubt is None,
        why=why,
        cells=searched,
        effective_cells=round(estimate.effective_cells, 1),
        phi=round(estimate.phi_in, 4),
        alpha=round(estimate.alpha, 4),
        expected_richness=round(estimate.expected_richness, 1),
        species=species,
        more=more,
    )


def _nothing(searched: int, why: str) -> Unrecorded:
    return Unrecorded(
        reliable=False,
        why=f"not reliable: {why}",
        cells=searched,
        effective_cells=0.0,
        phi=None,
        alpha=None,
        expected_richness=None,
        species=[],
        more=0,
    )
