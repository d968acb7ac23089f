"""A ranking of gaps as a picture: cells by how well they are sampled, the best ones outlined.

Pure: says what is drawn and in which words; `map_drawing` draws it.
"""

from __future__ import annotations

import numpy as np

from atlas.geo.cells import area_km2, centres, parse_cell
from atlas.geo.views import View, view_of, view_of_box
from atlas.species.gap_answers import Gap, GapRanking
from atlas.species.gap_area import Shape
from atlas.species.gap_survey import GapMap
from atlas.species.gaps import MEANINGS, STATES
from atlas.species.map_drawing import INK, LAND, CellLayer, LegendColumn, Sheet, Swatch
from atlas.species.palettes import STATE_COLOURS

_REASONS = 5


def gap_sheet(surveyed: GapMap, *, shape: Shape, notes: list[str]) -> Sheet:
    """The cells of the area by state, the gaps listed outlined; `notes` come last."""
    ranking = surveyed.ranking
    best = np.array([parse_cell(gap.cell) for gap in ranking.gaps], np.uint64)
    states = [
        CellLayer(surveyed.cells[surveyed.state == place], STATE_COLOURS[state])
        for place, state in enumerate(STATES)
    ]
    return Sheet(
        view=_view(surveyed, shape),
        title=f"Where a visit would add most: {_names(ranking)}",
        italic=False,
        subtitle=_subtitle(surveyed),
        layers=[*states, CellLayer(best, "none", INK)],
        legend=_legend(surveyed),
        notes=[
            *(_reason(place, gap) for place, gap in enumerate(ranking.gaps[:_REASONS], start=1)),
            *_uncounted(ranking),
            *notes,
        ],
    )


def _view(surveyed: GapMap, shape: Shape) -> View:
    if shape is not None:
        return view_of_box(shape.bounds())
    return view_of(*centres(surveyed.cells))


def _names(ranking: GapRanking) -> str:
    return ", ".join(taxon.scientific_name for taxon in ranking.taxa)


def _subtitle(surveyed: GapMap) -> str:
    ranking = surveyed.ranking
    parts = [f"cells of resolution {ranking.resolution}"]
    if len(surveyed.cells):
        mean_km2 = float(area_km2(surveyed.cells[:1000]).mean())
        parts[0] += f", about {float(f'{mean_km2:.2g}'):,.0f} km²"
    parts.append(f"visits that met {ranking.target_group.scientific_name}")
    parts.append(f"as of {ranking.as_of}")
    return " · ".join(parts)


def _legend(surveyed: GapMap) -> list[LegendColumn]:
    numbers = np.bincount(surveyed.state, minlength=len(STATES)).tolist()
    listed = len(surveyed.ranking.gaps)
    swatches = [
        Swatch(
            label=f"{state.replace('_', ' ')}: {MEANINGS[state]} ({number:,})",
            colour=STATE_COLOURS[state],
        )
        for state, number in zip(STATES, numbers, strict=True)
        if number
    ]
    best = Swatch(label=f"the best {listed:,} of {len(surveyed.cells):,}", colour=LAND, edge=INK)
    return [
        LegendColumn(heading="How well a cell is sampled", swatches=swatches),
        LegendColumn(heading="Most worth a visit", swatches=[best]),
    ]


def _reason(place: int, gap: Gap) -> str:
    north = "N" if gap.latitude >= 0 else "S"
    east = "E" if gap.longitude >= 0 else "W"
    where = f"{abs(gap.latitude):.2f}° {north}, {abs(gap.longitude):.2f}° {east}"
    return f"{place}. {where}. {gap.reason}"


def _uncounted(ranking: GapRanking) -> list[str]:
    """Records that stand in no cell, and why; and why a ranking means nothing."""
    found = [ranking.notice] if ranking.notice else []
    if ranking.coarse_records:
        found.append(f"Too uncertain for these cells: {ranking.coarse_records:,} records.")
    if ranking.held_back:
        named = "; ".join(
            f"{held.meaning.rstrip('.')} ({held.records:,})" for held in ranking.held_back
        )
        found.append(f"Records held back for quality: {named}.")
    return found
