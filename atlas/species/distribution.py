"""Where a taxon was recorded, cell by cell, beside the effort of its target group.

Counting records maps observers, so no count is given without the records, visits and observers
of the group that would have recorded the taxon too. A cell is "recorded" or "searched, not
recorded"; a cell that nobody searched is not listed. Never says "absent". Any thread.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import h3.api.basic_int as h3
import msgspec
import numpy as np
import numpy.typing as npt
import shapely

from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.geo import cells as geo_cells
from atlas.geo.outlines import outlines, world_polygons
from atlas.geo.shapes import BoundingBox
from atlas.species.occupancy import UNKNOWN_DAY, Occupancy
from atlas.species.table_rows import Columns, chosen, table_rows

State = Literal["recorded", "searched, not recorded"]
TARGET_GROUP_RANK = "class"

# Cells of the coarse cover that a box is sieved through before outlines are compared.
_MOST_SIEVE_CELLS = 2_000

_LINEAGE = """
    SELECT a.taxon_id, a.rank, a.scientific_name
    FROM taxon t JOIN taxon a ON a.taxon_id <= t.taxon_id AND a.last_descendant >= t.taxon_id
    WHERE t.taxon_id = ?
    ORDER BY a.depth DESC
"""


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """What the target group's observers left in a cell: `n` records, observers, visits."""

    n: int
    observers: int
    visits: int


class OccupiedCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a distribution; `cell` is its H3 number in hexadecimal.

    `coarse` marks records whose own uncertainty is wider than the resolution asked for: they stand
    in a cell of their own, coarser `resolution`, and in no finer one. Of these only the number is
    known. `min_uncertainty_m` is None where no record states one.
    """

    cell: str
    resolution: int
    coarse: bool
    state: State
    n: int
    observers: int | None
    visits: int | None
    first_day: dt.date | None
    last_day: dt.date | None
    min_uncertainty_m: float | None
    area_km2: float
    effort: Effort | None


class TargetGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The taxon whose records count as effort."""

    taxon_id: int
    scientific_name: str
    rank: str


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """All cells of a taxon at one resolution; `records` counts those listed.

    A cell that is not listed was not searched, or, where the question did not ask for searched
    cells, was searched without a record.
    """

    taxon_id: int
    resolution: int
    target_group: TargetGroup
    records: int
    coarse_records: int
    cells: list[OccupiedCell]


class Distributions:
    """Puts together the distributions of an atlas."""

    def __init__(self, catalog: Catalog, occupancy: Occupancy, *, max_cells: int) -> None:
        self._catalog = catalog
        self._occupancy = occupancy
        self._finest = occupancy.finest
        self._max_cells = max_cells

    def target_group(self, taxon_id: int, group_id: int | None = None) -> TargetGroup:
        """The group asked for, else the nearest ancestor of rank class, else the root.

        The taxon itself counts as its own ancestor, so a class is its own group. NotFound for an
        unknown taxon; InvalidQuery when the group does not hold the taxon.
        """
        rows = table_rows(self._catalog.table(_LINEAGE, [taxon_id]))
        if not rows:
            raise NotFound("taxon", str(taxon_id))
        if group_id is not None:
            rows = [row for row in rows if row["taxon_id"] == group_id]
            if not rows:
                problem = f"taxon {group_id} does not hold taxon {taxon_id}"
                raise InvalidQuery("group", problem)
        nearest = next((row for row in rows if row["rank"] == TARGET_GROUP_RANK), rows[-1])
        return msgspec.convert(nearest, TargetGroup)

    def read(
        self,
        taxon_id: int,
        resolution: int,
        *,
        box: BoundingBox | None = None,
        group_id: int | None = None,
        searched: bool = False,
    ) -> Distribution:
        """The distribution of a taxon at one resolution, inside `box` where given.

        With `searched`, cells that hold records of the target group but none of the taxon are
        listed too. Raises InvalidQuery for a resolution finer than the bundle's cells or an
        answer of too many cells, NotFound for an unknown taxon.
        """
        if not 0 <= resolution <= self._finest:
            raise InvalidQuery("resolution", f"must be from 0 to {self._finest}")
        group = self.target_group(taxon_id, group_id)
        own = self._cells(taxon_id, resolution, box)
        effort = own if group.taxon_id == taxon_id else self._cells(group.taxon_id, resolution, box)
        coarse = self._coarse(taxon_id, resolution, box)
        cells = _recorded(own, effort, resolution)
        if searched:
            cells += _searched_only(own, effort, resolution)
        cells += _coarse_cells(coarse)
        if len(cells) > self._max_cells:
            problem = f"{len(cells)} cells, more than {self._max_cells}: ask for a coarser one"
            raise InvalidQuery("resolution", f"{problem} or for a smaller bbox")
        return Distribution(
            taxon_id=taxon_id,
            resolution=resolution,
            target_group=group,
            records=sum(cell.n for cell in cells),
            coarse_records=sum(cell.n for cell in cells if cell.coarse),
            cells=cells,
        )

    def _cells(self, taxon_id: int, resolution: int, box: BoundingBox | None) -> Columns:
        table = _columns(self._occupancy.cells(taxon_id, resolution)._asdict())
        return table if box is None else chosen(table, overlaps(_cell_numbers(table), box))

    def _coarse(self, taxon_id: int, resolution: int, box: BoundingBox | None) -> Columns:
        table = _columns(self._occupancy.coarse(taxon_id, resolution)._asdict())
        return table if box is None else chosen(table, overlaps(_cell_numbers(table), box))


def _columns(counts: dict[str, npt.NDArray[Any]]) -> Columns:
    """Columns as a catalog gives them: days as dates, null where unknown."""
    columns = dict(counts)
    for name in ("first_day", "last_day"):
        if name in columns:
            unknown = columns[name] == UNKNOWN_DAY
            days = np.where(unknown, 0, columns[name]).astype("datetime64[D]")
            columns[name] = np.ma.masked_array(days, unknown)
    return columns


def _cell_numbers(table: Columns) -> npt.NDArray[np.uint64]:
    cells: npt.NDArray[np.uint64] = np.asarray(table["cell"], np.uint64)
    return cells


def _recorded(own: Columns, effort: Columns, resolution: int) -> list[OccupiedCell]:
    """The taxon's own cells; a cell without any effort is one of coarse records of the group."""
    efforts = {row["cell"]: row for row in table_rows(effort)}
    areas = geo_cells.area_km2(_cell_numbers(own))
    return [
        OccupiedCell(
            cell=geo_cells.format_cell(row["cell"]),
            resolution=resolution,
            coarse=False,
            state="recorded",
            n=row["n"],
            observers=row["observers"],
            visits=row["visits"],
            first_day=row["first_day"],
            last_day=row["last_day"],
            min_uncertainty_m=_known(row["min_uncertainty_m"]),
            area_km2=round(float(area), 3),
            effort=_effort(efforts.get(row["cell"])),
        )
        for row, area in zip(table_rows(own), areas, strict=True)
    ]


def _searched_only(own: Columns, effort: Columns, resolution: int) -> list[OccupiedCell]:
    """Cells where the target group was recorded and the taxon was not."""
    recorded = np.isin(_cell_numbers(effort), _cell_numbers(own))
    searched = chosen(effort, ~recorded)
    areas = geo_cells.area_km2(_cell_numbers(searched))
    return [
        OccupiedCell(
            cell=geo_cells.format_cell(row["cell"]),
            resolution=resolution,
            coarse=False,
            state="searched, not recorded",
            n=0,
            observers=0,
            visits=0,
            first_day=None,
            last_day=None,
            min_uncertainty_m=None,
            area_km2=round(float(area), 3),
            effort=_effort(row),
        )
        for row, area in zip(table_rows(searched), areas, strict=True)
    ]


def _coarse_cells(coarse: Columns) -> list[OccupiedCell]:
    areas = geo_cells.area_km2(_cell_numbers(coarse))
    return [
        OccupiedCell(
            cell=geo_cells.format_cell(row["cell"]),
            resolution=row["resolution"],
            coarse=True,
            state="recorded",
            n=row["n"],
            observers=None,
            visits=None,
            first_day=None,
            last_day=None,
            min_uncertainty_m=None,
            area_km2=round(float(area), 3),
            effort=None,
        )
        for row, area in zip(table_rows(coarse), areas, strict=True)
    ]


def _effort(row: dict[str, int] | None) -> Effort | None:
    if row is None:
        return None
    return Effort(n=row["n"], observers=row["observers"], visits=row["visits"])


def _known(uncertainty_m: float | None) -> float | None:
    """None for NULL and for NaN, which JSON cannot carry."""
    return None if uncertainty_m is None or np.isnan(uncertainty_m) else uncertainty_m


def overlaps(cells: npt.NDArray[np.uint64], box: BoundingBox) -> npt.NDArray[np.bool_]:
    """Which cells' outlines touch the box; bool[n]. Cells of several resolutions may be mixed.

    A sieve at a coarse resolution first, whose size is bounded, then outlines.
    """
    keep = np.zeros(len(cells), np.bool_)
    resolutions = geo_cells.resolution_of(cells)
    for resolution in np.unique(resolutions).tolist():
        coarse = geo_cells.cover_resolution(box, resolution, _MOST_SIEVE_CELLS)
        # A cell may reach out of its ancestor, so the sieve is one ring wider than the box.
        sieve = {
            neighbour
            for cell in geo_cells.cover(box, coarse).tolist()
            for neighbour in h3.grid_disk(cell, 1)
        }
        inside = np.isin(geo_cells.parent(cells, coarse), np.fromiter(sieve, np.uint64))
        positions = np.flatnonzero(inside & (resolutions == resolution))
        if len(positions):
            pieces, owner = world_polygons(outlines(cells[positions]))
            keep[positions[owner[shapely.intersects(pieces, box.geometry)]]] = True
    return keep
