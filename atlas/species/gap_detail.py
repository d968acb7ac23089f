"""One cell explained: its numbers and thresholds, its species, and those expected beside them.

Any thread.
"""

from __future__ import annotations

import datetime as dt

import numpy as np

from atlas.catalog import Catalog
from atlas.geo.cells import parent, resolution_of
from atlas.species.gap_answers import GapDetail, RecordedSpecies
from atlas.species.gap_rows import gaps_of
from atlas.species.gap_survey import GapSurvey
from atlas.species.gaps import GapSettings
from atlas.species.neighbours import runs
from atlas.species.occupancy import UNKNOWN_DAY, Occupancy
from atlas.species.unrecorded import UnrecordedSpecies

_MOST_RECORDED = 50
_EPOCH = dt.date(1970, 1, 1)
# What a cell's state and score follow from; the other settings are of areas and texts.
_THRESHOLDS = (
    "least_visits",
    "least_visits_per_species",
    "well_coverage",
    "well_visits_per_species",
    "half_ignorance_visits",
    "half_life_years",
    "recency_weight",
    "prior_visits",
    "rings",
    "least_probability",
)


class GapDetails:
    """Explains cells of the atlas that a survey ranks."""

    def __init__(
        self,
        survey: GapSurvey,
        catalog: Catalog,
        occupancy: Occupancy,
        unrecorded: UnrecordedSpecies,
        settings: GapSettings,
    ) -> None:
        self._survey = survey
        self._catalog = catalog
        self._occupancy = occupancy
        self._unrecorded = unrecorded
        self._thresholds = {name: float(getattr(settings, name)) for name in _THRESHOLDS}

    def explain(self, cell: int, taxon_id: int) -> GapDetail:
        """Everything behind a cell's place; NotFound for a taxon, InvalidQuery for a finer cell."""
        resolution = int(resolution_of([cell])[0])
        self._survey.check_resolution(resolution, "cell")
        (taxon,) = self._survey.taxa({taxon_id: 1.0})
        group = self._survey.group_of([taxon_id])
        area = self._survey.area_around(cell)
        ranges = runs(area.cells, len(area.cells))
        assessed = self._survey.assess(group, {taxon_id: 1.0}, area, resolution, ranges)
        (gap,) = gaps_of(
            assessed,
            np.flatnonzero(area.inside),
            what=taxon.scientific_name,
            group=group.scientific_name,
        )
        return GapDetail(
            taxon=taxon,
            target_group=group,
            resolution=resolution,
            lives=assessed.lives,
            as_of=self._survey.as_of,
            gap=gap,
            thresholds=self._thresholds,
            recorded=self._recorded(cell, taxon_id),
            unrecorded=self._unrecorded.expected(cell, taxon_id, group),
            coarse_records=self._coarse(cell, taxon_id, resolution),
            held_back=self._survey.held_back([taxon_id]),
        )

    def _recorded(self, cell: int, taxon_id: int) -> list[RecordedSpecies]:
        found = self._occupancy.species_in(np.array([cell], np.uint64), taxon_id)
        order = np.lexsort((found.taxon_id, -found.n, -found.visits))[:_MOST_RECORDED]
        labels = self._catalog.taxon_labels(found.taxon_id[order].tolist())
        return [
            RecordedSpecies(
                taxon_id=label.taxon_id,
                scientific_name=label.scientific_name,
                common_name=label.common_name,
                records=int(found.n[place]),
                visits=int(found.visits[place]),
                last_day=None
                if found.last_day[place] == UNKNOWN_DAY
                else _EPOCH + dt.timedelta(days=int(found.last_day[place])),
            )
            for label, place in zip(labels, order.tolist(), strict=True)
        ]

    def _coarse(self, cell: int, taxon_id: int, resolution: int) -> int:
        """Records of the taxon in coarser cells that hold this one."""
        found = self._occupancy.coarse(taxon_id, resolution)
        holders = [int(parent([cell], level)[0]) for level in range(resolution)]
        return int(found.n[np.isin(found.cell, np.array(holders, np.uint64))].sum())
