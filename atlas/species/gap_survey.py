"""Ranks the cells of an area by what a visit would add for a target group, and explains one cell.

Reads counts, scores every cell of the area, and puts the best into words. Any thread: what is kept
between questions (areas, where a group lives) is behind locks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.geo.outlines import Cells
from atlas.species.distribution import TargetGroup
from atlas.species.gap_answers import Counted, GapRanking, GapTaxon
from atlas.species.gap_area import Area, Areas, Shape, Shares
from atlas.species.gap_counts import count_group
from atlas.species.gap_habitat import Habitats
from atlas.species.gap_ranking import best, score
from atlas.species.gap_rows import Assessed, gaps_of
from atlas.species.gaps import NO_DATA, STATES, GapSettings, SamplingState, assess
from atlas.species.neighbours import runs
from atlas.species.occupancy import HeldBack, Occupancy

_MOST_RANGES = 64
_NO_VISITS = (
    "No record of {} in this atlas has a known day, so no visit is known: all scores are 0 and the "
    "order says nothing. States, records and expected species of each cell hold all the same."
)
_EPOCH = dt.date(1970, 1, 1)
_LINEAGE = """
    SELECT taxon_id FROM taxon WHERE taxon_id <= ? AND last_descendant >= ?
    ORDER BY depth DESC LIMIT 1
"""


class GapQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Where a visit would add most for these taxa (id → weight), none of which holds another.

    `shape` None is the whole earth; `states` empty means all.
    """

    taxa: Mapping[int, float]
    shape: Shape = None
    resolution: int = 4
    states: tuple[SamplingState, ...] = ()
    limit: int = 50


class GapMap(NamedTuple):
    """A ranking, and the state of every cell that it is made from: (n,), places in `STATES`."""

    ranking: GapRanking
    cells: Cells
    state: npt.NDArray[np.int8]


class GapSurvey:
    """Gaps of one atlas, whose records are as of the day `as_of`."""

    def __init__(
        self,
        catalog: Catalog,
        occupancy: Occupancy,
        *,
        target_group: Callable[[int], TargetGroup],
        land_share: Callable[[Cells], Shares],
        settings: GapSettings,
        as_of: dt.date,
    ) -> None:
        self._catalog = catalog
        self._occupancy = occupancy
        self._target_group = target_group
        self._settings = settings
        self.as_of = as_of
        self._areas = Areas(land_share, rings=settings.rings, max_cells=settings.max_cells)
        self._habitats = Habitats(occupancy, land_share, settings)

    def rank(self, question: GapQuestion) -> GapRanking:
        """The cells most worth a visit; InvalidQuery names the field at fault, NotFound a taxon."""
        return self.map(question).ranking

    def map(self, question: GapQuestion) -> GapMap:
        """The same with the state of every cell of the area that has the states asked for."""
        self.check_resolution(question.resolution)
        taxa = self.taxa(question.taxa)
        group = self.group_of(list(question.taxa))
        area = self._areas.of(question.shape, question.resolution)
        ranges = None if question.shape is None else runs(area.cells, _MOST_RANGES)
        assessed = self.assess(group, question.taxa, area, question.resolution, ranges)
        lives = assessed.lives
        there = area.inside & (
            (assessed.assessment.state != NO_DATA)
            | self._habitats.habitable(area.land_share, lives.on)
        )
        wanted = [STATES.index(state) for state in question.states or STATES]
        keep = there & np.isin(assessed.assessment.state, wanted)
        ranking = GapRanking(
            taxa=taxa,
            target_group=group,
            resolution=question.resolution,
            lives=lives,
            as_of=self.as_of,
            cells=_counted(assessed.assessment.state[there]),
            matching=int(keep.sum()),
            coarse_records=sum(
                int(self._occupancy.coarse(taxon, question.resolution, ranges=ranges).n.sum())
                for taxon in question.taxa
            ),
            held_back=self.held_back(list(question.taxa)),
            notice=None if assessed.visited else _NO_VISITS.format(group.scientific_name),
            gaps=gaps_of(
                assessed,
                best(assessed.scores, keep, question.limit),
                what=_names(taxa),
                group=group.scientific_name,
            ),
        )
        return GapMap(ranking, area.cells[keep], assessed.assessment.state[keep])

    def assess(
        self,
        group: TargetGroup,
        weights: Mapping[int, float],
        area: Area,
        resolution: int,
        ranges: list[tuple[int, int]] | None,
    ) -> Assessed:
        """Every cell of an area assessed and scored."""
        counted = count_group(
            self._occupancy, group.taxon_id, weights, resolution, cells=area.cells, ranges=ranges
        )
        assessment = assess(counted.counts, self._settings, today=(self.as_of - _EPOCH).days)
        home = self._habitats.of(group.taxon_id, weights)
        typical, level = home.means.at(area.cells, resolution)
        scores = score(
            assessment,
            visits=counted.counts.visits,
            incidences=counted.incidences,
            singles=counted.singles,
            neighbours=area.neighbours,
            typical=typical,
            settings=self._settings,
        )
        return Assessed(
            area=area,
            counted=counted,
            assessment=assessment,
            scores=scores,
            level=level,
            visited=home.visited,
            lives=home.lives,
            rings=self._settings.rings,
        )

    def area_around(self, cell: int) -> Area:
        """One cell as an area, with the cells around it."""
        return self._areas.around(cell)

    def taxa(self, weights: Mapping[int, float]) -> list[GapTaxon]:
        """The taxa asked for, by weight; NotFound for one that does not exist."""
        labels = self._catalog.taxon_labels(list(weights))
        named = [
            GapTaxon(weight=round(weight, 4), **msgspec.structs.asdict(label))
            for label, weight in zip(labels, weights.values(), strict=True)
        ]
        return sorted(named, key=lambda taxon: -taxon.weight)

    def group_of(self, taxon_ids: list[int]) -> TargetGroup:
        """Whose visits are the effort: the target group that holds all these taxa.

        For taxa of several groups it is the lowest taxon that holds them all; above the groups a
        taxon is its own.
        """
        lowest, highest = min(taxon_ids), max(taxon_ids)
        found = self._catalog.table(_LINEAGE, [lowest, highest])["taxon_id"]
        if len(found) == 0:
            raise NotFound("taxon", str(highest))
        holder = int(found[0])
        group = self._target_group(holder)
        if group.taxon_id == 0 and holder != 0:
            (label,) = self._catalog.taxon_labels([holder])
            return TargetGroup(
                taxon_id=holder, scientific_name=label.scientific_name, rank=label.rank
            )
        return group

    def held_back(self, taxon_ids: list[int]) -> list[HeldBack]:
        """Records of these taxa that the default quality filter leaves out, by reason."""
        found: dict[str, HeldBack] = {}
        for held in (one for taxon in taxon_ids for one in self._occupancy.held_back(taxon)):
            before = found[held.flag].records if held.flag in found else 0
            found[held.flag] = msgspec.structs.replace(held, records=before + held.records)
        return list(found.values())

    def check_resolution(self, resolution: int, field: str = "resolution") -> None:
        """InvalidQuery naming the field where the atlas has no cells so fine."""
        finest = self._occupancy.finest
        if not 0 <= resolution <= finest:
            raise InvalidQuery(field, f"resolution must be from 0 to {finest}, not {resolution}")


def _names(taxa: list[GapTaxon]) -> str:
    names = [taxon.scientific_name for taxon in taxa]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _counted(states: npt.NDArray[np.int8]) -> Counted:
    found = np.bincount(states, minlength=len(STATES)).tolist()
    return Counted(**dict(zip(STATES, found, strict=True)))
