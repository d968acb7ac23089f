"""What the colours of a layer mean, for one taxon at one zoom: breaks, units, colours.

Knows nothing of drawing. Breaks are fixed steps, so that maps can be compared, or quantiles of the
taxon's own cells, so that each colour is used. Any thread.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.errors import InvalidQuery
from atlas.geo.tiles import resolution_for_zoom
from atlas.species.gaps import MEANINGS, STATES
from atlas.species.layers import LAYERS, Layer, LayerName, Whose
from atlas.species.map_settings import MapSettings
from atlas.species.occupancy import EVERY_RECORD, Occupancy, RecordFilter
from atlas.species.palettes import PALETTES, STATE_COLOURS
from atlas.species.target_group import TargetGroups

Breaks: TypeAlias = Literal["log", "quantile"]
# Steps of three and a third, or of ten where one would not reach the greatest count.
_HALF_DECADES = (1, 3, 10, 30, 100, 300, 1000)
_DECADES = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)
_COVERAGE = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
NOT_SEARCHED = "no colour: nobody has looked there, as far as these records tell"


class LegendClass(msgspec.Struct, frozen=True, kw_only=True):
    """A colour and the values that it stands for: from `lower`, below `upper` (None: no end).

    A layer of states has the state in `value` instead.
    """

    colour: str
    label: str
    lower: float | None = None
    upper: float | None = None
    value: str | None = None


class Legend(msgspec.Struct, frozen=True, kw_only=True):
    """The legend of a layer; `field` is the property that its classes colour."""

    layer: LayerName
    title: str
    meaning: str
    field: str
    unit: str | None
    whose: Whose
    taxon_id: int
    zoom: int
    resolution: int
    breaks: Literal["log", "quantile", "fixed", "states"]
    classes: list[LegendClass]
    no_colour: str = NOT_SEARCHED


class Legends:
    """Makes legends from the counts that tiles are drawn from."""

    def __init__(
        self, occupancy: Occupancy, target_groups: TargetGroups, settings: MapSettings
    ) -> None:
        self._occupancy = occupancy
        self._groups = target_groups
        self._finest_read = settings.range_resolution

    def read(
        self,
        layer_name: LayerName,
        taxon_id: int,
        zoom: int,
        breaks: Breaks = "log",
        only: RecordFilter = EVERY_RECORD,
    ) -> Legend:
        """The legend of a layer for a taxon at a zoom.

        Raises NotFound for an unknown taxon; InvalidQuery for a zoom outside the pyramid,
        and for quantiles of cells finer than those that a whole range is read by.
        """
        layer = LAYERS[layer_name]
        resolution = min(resolution_for_zoom(zoom), self._occupancy.finest)
        counted = self._groups.of(taxon_id).taxon_id if layer.whose != "taxon" else taxon_id
        kind, classes = self._classes(layer, counted, resolution, breaks, only)
        return Legend(
            layer=layer_name,
            title=layer.title,
            meaning=layer.meaning,
            field=layer.shown,
            unit=next(field.unit for field in layer.fields if field.name == layer.shown),
            whose=layer.whose,
            taxon_id=counted,
            zoom=zoom,
            resolution=resolution,
            breaks=kind,
            classes=classes,
        )

    def _classes(
        self, layer: Layer, taxon_id: int, resolution: int, breaks: Breaks, only: RecordFilter
    ) -> tuple[Literal["log", "quantile", "fixed", "states"], list[LegendClass]]:
        if layer.name == "gaps":
            return "states", [
                LegendClass(colour=STATE_COLOURS[state], label=MEANINGS[state], value=state)
                for state in STATES
            ]
        palette = PALETTES[layer.name]
        if layer.name == "completeness":
            return "fixed", numbered(_COVERAGE, palette)
        if breaks == "quantile":
            if resolution > self._finest_read:
                problem = f"are not known for cells finer than resolution {self._finest_read}"
                raise InvalidQuery("breaks", f"quantiles {problem}: ask for a lower zoom")
            values = self._shown(layer, taxon_id, resolution, only)
            return "quantile", numbered(quantile_breaks(values, len(palette)), palette)
        # Finer cells hold no more than the coarser ones that are read.
        greatest = self._shown(layer, taxon_id, min(resolution, self._finest_read), only)
        return "log", numbered(log_breaks(int(greatest.max(initial=1))), palette)

    def _shown(
        self, layer: Layer, taxon_id: int, resolution: int, only: RecordFilter
    ) -> npt.NDArray[np.int64]:
        counts = self._occupancy.cells(taxon_id, resolution, filter=only)
        values: npt.NDArray[np.int64] = getattr(counts, layer.shown)
        return values[values > 0]


def log_breaks(greatest: int) -> tuple[int, ...]:
    """Lower ends of classes, each about three or each ten times the one before, up to `greatest`.

    The same steps for every taxon, so that two maps can be laid side by side.
    """
    steps = _HALF_DECADES if greatest < 3 * _HALF_DECADES[-1] else _DECADES
    return tuple(step for step in steps if step <= max(1, greatest))


def quantile_breaks(values: npt.NDArray[np.int64], classes: int) -> tuple[int, ...]:
    """Lower ends of at most `classes` classes with about as many of the values each.

    Fewer where many values are equal; (1,) without values.
    """
    if not len(values):
        return (1,)
    ends = np.quantile(values, np.arange(classes) / classes, method="higher")
    return tuple(np.unique(ends.astype(np.int64)).tolist())


def numbered(lower: tuple[float, ...], palette: tuple[str, ...]) -> list[LegendClass]:
    """Classes from their lower ends; few classes take colours from all of the palette."""
    places = np.linspace(0, len(palette) - 1, len(lower)).round().astype(int)
    if len(lower) == 1:
        places = np.array([len(palette) // 2])
    upper: list[float | None] = [*lower[1:], None]
    return [
        LegendClass(colour=palette[place], label=_label(low, high), lower=low, upper=high)
        for low, high, place in zip(lower, upper, places.tolist(), strict=True)
    ]


def _label(lower: float, upper: float | None) -> str:
    if isinstance(lower, int):
        last = None if upper is None else int(upper) - 1
        if last is None:
            return f"{lower:,} or more"
        return f"{lower:,}" if last == lower else f"{lower:,} to {last:,}"
    if upper is None:
        return f"{lower:.0%} or more"
    return f"below {upper:.0%}" if lower == 0.0 else f"{lower:.0%} to {upper:.0%}"
