"""A map of a taxon as a picture: what is on it, and in which words.

Cells with records in colour over the effort of the target group in grey, so that "recorded",
"searched, not recorded" and "not searched" can be told apart. Any thread.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atlas.catalog import Catalog, Taxon
from atlas.geo.cells import RADIUS_M, area_km2
from atlas.geo.outlines import outlines
from atlas.geo.ranges import Ranges, shape_ranges
from atlas.geo.shapes import BoundingBox
from atlas.geo.views import View, view_of, view_of_box
from atlas.species.legend import LegendClass, log_breaks, numbered
from atlas.species.map_drawing import LAND, CellLayer, LegendColumn, Sheet, Swatch, draw_png
from atlas.species.map_settings import MapSettings
from atlas.species.occupancy import (
    EVERY_RECORD,
    UNKNOWN_DAY,
    CellCounts,
    CoarseCounts,
    Occupancy,
    RecordFilter,
)
from atlas.species.palettes import COARSE, EFFORT_GREYS, PALETTES
from atlas.species.target_group import TargetGroup, TargetGroups

NARROWEST, WIDEST = 200, 4000
# A picture's bounds are found from cells of this resolution, 23 km in radius.
_BOUNDS_RESOLUTION = 4
# A cell's width as a share of the picture's: eight pixels of a thousand.
_LEAST_CELL_SHARE = 0.008
_EFFORT_BREAKS = (1, 10, 100, 1000)
_MOST_SOURCES, _MOST_REASONS = 5, 3
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip

_SOURCES = """
    SELECT source_id, count(*) AS n FROM image
    WHERE counted AND taxon_id BETWEEN ? AND ? GROUP BY source_id ORDER BY n DESC, source_id
"""


class _Counts(NamedTuple):
    resolution: int
    own: CellCounts
    effort: CellCounts
    coarse: CoarseCounts


class MapPictures:
    """Draws maps of taxa; `demonstration` says that the records are made up."""

    def __init__(
        self,
        catalog: Catalog,
        occupancy: Occupancy,
        target_groups: TargetGroups,
        settings: MapSettings,
        *,
        demonstration: bool,
    ) -> None:
        self._catalog = catalog
        self._occupancy = occupancy
        self._groups = target_groups
        self._most_cells = settings.picture_cells
        self._demonstration = demonstration

    def draw(
        self,
        taxon_id: int,
        *,
        width: int,
        box: BoundingBox | None = None,
        only: RecordFilter = EVERY_RECORD,
    ) -> bytes:
        """A PNG of `width` pixels that shows the taxon's range with a margin, or `box`.

        Raises NotFound for an unknown taxon.
        """
        return draw_png(self.sheet(taxon_id, box=box, only=only), width)

    def sheet(
        self, taxon_id: int, *, box: BoundingBox | None = None, only: RecordFilter = EVERY_RECORD
    ) -> Sheet:
        """What `draw` draws."""
        taxon = self._catalog.taxon(taxon_id)
        group = self._groups.of(taxon_id)
        view = self._view(taxon_id, only) if box is None else view_of_box(box)
        counts = self._counts(taxon_id, group, view, only)
        records = numbered(log_breaks(_greatest(counts.own.n)), PALETTES["occurrence"])
        visits = np.maximum(counts.effort.visits, 1)
        unmet = ~np.isin(counts.effort.cell, counts.own.cell)
        steps = tuple(step for step in _EFFORT_BREAKS if step <= _greatest(visits[unmet]))
        efforts = numbered(steps, EFFORT_GREYS) if unmet.any() else []
        return Sheet(
            view=view,
            title=taxon.scientific_name,
            italic=taxon.rank in {"genus", "species", "subspecies", "variety", "form"},
            subtitle=_subtitle(taxon, counts, only),
            layers=[
                *_classed(counts.effort.cell[unmet], visits[unmet], efforts),
                CellLayer(counts.coarse.cell, COARSE.face, COARSE.edge),
                *_classed(counts.own.cell, counts.own.n, records),
            ],
            legend=_legend(records, efforts, group, counts),
            notes=[*self._notes(taxon, counts), self.credit(taxon, only)],
        )

    def _view(self, taxon_id: int, only: RecordFilter) -> View:
        """The taxon's cells and, where a record is less certain than these, its coarse ones."""
        resolution = min(_BOUNDS_RESOLUTION, self._occupancy.finest)
        fine = self._occupancy.cells(taxon_id, resolution, filter=only).cell
        coarse = self._occupancy.coarse(taxon_id, resolution, filter=only).cell
        outline = outlines(np.concatenate([fine, coarse]))
        return view_of(outline.latitude, outline.longitude)

    def _counts(self, taxon_id: int, group: TargetGroup, view: View, only: RecordFilter) -> _Counts:
        """Counts in the finest cells that can be seen, and are not too many to draw."""
        seen = 2.0 * RADIUS_M[: self._occupancy.finest + 1] >= _LEAST_CELL_SHARE * view.width_m
        resolution = max(0, int(seen.sum()) - 1)
        while True:
            ranges: Ranges | None = None
            if not view.whole_earth:
                ranges = shape_ranges(view.box, resolution)
            read = self._occupancy.cells
            effort = read(group.taxon_id, resolution, ranges=ranges, filter=only)
            if len(effort.cell) <= self._most_cells or resolution == 0:
                break
            resolution -= 1
        own = effort
        if group.taxon_id != taxon_id:
            own = read(taxon_id, resolution, ranges=ranges, filter=only)
        coarse = self._occupancy.coarse(taxon_id, resolution, ranges=ranges, filter=only)
        return _Counts(resolution, own, effort, coarse)

    def _notes(self, taxon: Taxon, counts: _Counts) -> list[str]:
        notes = self.demonstration_note()
        uncertain = int(counts.coarse.n.sum())
        if uncertain:
            notes.append(
                f"{_many(uncertain, 'record')} less certain than these cells are wide: drawn as "
                "the cells that hold them."
            )
        reasons = self._occupancy.held_back(taxon.taxon_id)
        if reasons:
            named = "; ".join(
                f"{reason.meaning.rstrip('.')} ({reason.records:,})"
                for reason in reasons[:_MOST_REASONS]
            )
            more = (
                f"; and {len(reasons) - _MOST_REASONS} more" if len(reasons) > _MOST_REASONS else ""
            )
            notes.append(f"Records held back for quality: {named}{more}.")
        return notes

    def demonstration_note(self) -> list[str]:
        """What must stand on a picture of made-up records."""
        return ["Demonstration: these records are made up."] if self._demonstration else []

    def credit(self, taxon: Taxon, only: RecordFilter = EVERY_RECORD) -> str:
        """Whom to cite for what is drawn."""
        found = self._catalog.table(_SOURCES, [taxon.taxon_id, taxon.last_descendant])
        sources = {source.source_id: source for source in self._catalog.sources()}
        used = [
            sources[number]
            for number in found["source_id"].tolist()
            if not only.source_ids or number in only.source_ids
        ]
        cited = [(source.citation or source.title).rstrip(". ") for source in used]
        more = len(cited) - _MOST_SOURCES
        listed = "; ".join(cited[:_MOST_SOURCES]) + (
            f"; and {more} more sources" if more > 0 else ""
        )
        records = f"Records: {listed}. " if listed else ""
        return f"{records}Coastline: GSHHG (Wessel & Smith 1996). Cells: H3, areas kept."


def _classed(
    cells: npt.NDArray[np.uint64], values: npt.NDArray[np.int64], classes: list[LegendClass]
) -> list[CellLayer]:
    """One layer of cells for each class of their values."""
    lower = np.array([step.lower for step in classes])
    place = np.maximum(np.searchsorted(lower, values, side="right") - 1, 0)
    return [CellLayer(cells[place == number], step.colour) for number, step in enumerate(classes)]


def _greatest(values: npt.NDArray[np.int64]) -> int:
    return int(values.max(initial=1))


def _legend(
    records: list[LegendClass],
    efforts: list[LegendClass],
    group: TargetGroup,
    counts: _Counts,
) -> list[LegendColumn]:
    recorded = [Swatch(label=step.label, colour=step.colour) for step in records]
    if len(counts.coarse.cell):
        recorded.append(Swatch(label="less certain", colour=COARSE.face, edge=COARSE.edge))
    columns = [LegendColumn(heading="Recorded: records in a cell", swatches=recorded)]
    if efforts:
        searched = [Swatch(label=step.label, colour=step.colour) for step in efforts]
        heading = f"Searched, not recorded: visits that met {group.scientific_name}"
        columns.append(LegendColumn(heading=heading, swatches=searched))
    nothing = f"no record of {group.scientific_name}, as far as is known"
    unsearched = [Swatch(label=nothing, colour=LAND)]
    columns.append(LegendColumn(heading="Not searched", swatches=unsearched))
    return columns


def _subtitle(taxon: Taxon, counts: _Counts, only: RecordFilter) -> str:
    own = counts.own
    number = int(own.n.sum()) + int(counts.coarse.n.sum())
    parts = [taxon.common_name] if taxon.common_name else []
    cells = f"{len(own.cell):,} cell" + ("" if len(own.cell) == 1 else "s")
    area = f" of about {_round(float(area_km2(own.cell).mean())):,} km²" if len(own.cell) else ""
    parts.append(f"{_many(number, 'record')} in {cells}{area}")
    dated = own.last_day[own.last_day != UNKNOWN_DAY]
    if len(dated):
        first = own.first_day[own.first_day != UNKNOWN_DAY]
        years = [
            int(day.astype("datetime64[D]").astype("datetime64[Y]").astype(int)) + 1970
            for day in (first.min(), dated.max())
        ]
        parts.append(str(years[0]) if years[0] == years[1] else f"{years[0]} to {years[1]}")
    if only != EVERY_RECORD:
        parts.append(f"only {_described(only)}")
    return " · ".join(parts)


def _described(only: RecordFilter) -> str:
    """The filter in words."""
    words = []
    if only.observed_from is not None:
        words.append(f"from {only.observed_from}")
    if only.observed_to is not None:
        words.append(f"to {only.observed_to}")
    if only.months:
        words.append("in " + ", ".join(_MONTHS[month - 1] for month in only.months))
    if only.source_ids:
        words.append("of some sources")
    if only.max_uncertainty_m is not None:
        words.append(f"certain to {only.max_uncertainty_m:g} m")
    return ", ".join(words)


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _round(area: float) -> int:
    """Two digits that mean something."""
    size = 10 ** max(0, len(str(int(area))) - 2)
    return int(round(area / size) * size)
