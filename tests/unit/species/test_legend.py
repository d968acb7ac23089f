"""Legends: breaks that hold every value, colours that can be told apart."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import InvalidQuery
from atlas.species.gaps import STATES
from atlas.species.layers import LAYERS
from atlas.species.legend import log_breaks, numbered, quantile_breaks
from atlas.species.palettes import EFFORT_GREYS, PALETTES, STATE_COLOURS
from tests.unit.species.map_world import MOOR_FROG, mapped, sighting

Floats = npt.NDArray[np.float64]

# How colours look without one kind of cone, in linear RGB (Machado, Oliveira & Fernandes 2009,
# severity 1): protanopia, deuteranopia, tritanopia.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def lab(colour: str, blindness: str) -> Floats:
    """CIE L*a*b* of a colour as it is seen (D65)."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(BLINDNESS[blindness]) @ linear, 0.0, 1.0)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ seen / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("name", [*PALETTES, "greys"])
def test_ramps_get_darker_for_every_eye(name: str, blindness: str) -> None:
    """A ramp whose lightness turned back would rank counts wrongly for a colour-blind reader."""
    palette = EFFORT_GREYS if name == "greys" else PALETTES[name]  # type: ignore[index]
    lightness = [lab(colour, blindness)[0] for colour in palette]
    steps = np.diff(lightness)
    assert (steps < -4.0).all(), (name, blindness, lightness)


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_states_can_be_told_apart_by_every_eye(blindness: str) -> None:
    """Two states of one colour would make a gap look well sampled."""
    assert list(STATE_COLOURS) == list(STATES)
    for one, other in itertools.combinations(STATE_COLOURS.values(), 2):
        distance = np.linalg.norm(lab(one, blindness) - lab(other, blindness))
        assert distance > 20.0, (one, other, blindness)


@given(st.integers(0, 10_000_000))
def test_log_breaks_are_fixed_steps(greatest: int) -> None:
    """Every count has one class, and the steps are the same for all taxa of a size."""
    breaks = log_breaks(greatest)
    assert breaks[0] == 1
    assert list(breaks) == sorted(set(breaks))
    assert breaks[-1] <= max(1, greatest)
    assert len(breaks) <= 7
    ratios = [b / a for a, b in itertools.pairwise(breaks)]
    assert all(3.0 <= ratio <= 10.0 for ratio in ratios)


@given(st.lists(st.integers(1, 10_000), max_size=200), st.integers(1, 9))
def test_quantile_breaks_hold_every_value(values: list[int], classes: int) -> None:
    """No value lies below the first break, and no class is empty."""
    counts = np.array(values, np.int64)
    breaks = quantile_breaks(counts, classes)
    assert 1 <= len(breaks) <= classes
    assert list(breaks) == sorted(set(breaks))
    if values:
        assert breaks[0] == min(values)
        place = np.searchsorted(breaks, counts, side="right") - 1
        assert set(place.tolist()) == set(range(len(breaks)))


def test_classes_say_what_they_hold() -> None:
    """Labels are read by people: whole numbers that do not overlap, shares in per cent."""
    palette = PALETTES["occurrence"]
    labels = [step.label for step in numbered((1, 2, 3, 1000), palette)]
    assert labels == ["1", "2", "3 to 999", "1,000 or more"]
    shares = [step.label for step in numbered((0.0, 0.5, 0.9), palette)]
    assert shares == ["below 50%", "50% to 90%", "90% or more"]
    colours = [step.colour for step in numbered((1, 3, 10), palette)]
    assert colours == [palette[0], palette[3], palette[6]]


def test_legend_fits_the_taxon(tmp_path: Path) -> None:
    """Classes reach up to the greatest count at the zoom's resolution, and no further."""
    records = [sighting(MOOR_FROG, 52.0, 5.0, observer=f"{i}") for i in range(12)] + [
        sighting(MOOR_FROG, -20.0, 130.0)
    ]
    with mapped(tmp_path / "c.duckdb", records) as maps:
        legend = maps.legends.read("occurrence", MOOR_FROG, 3)
        assert [step.lower for step in legend.classes] == [1, 3, 10]
        assert (legend.resolution, legend.unit) == (2, "records")
        quantile = maps.legends.read("occurrence", MOOR_FROG, 3, "quantile")
        assert [step.lower for step in quantile.classes] == [1, 12]
        effort = maps.legends.read("effort", MOOR_FROG, 3)
        assert effort.whose == "target group"
        with pytest.raises(InvalidQuery, match="finer than resolution 5"):
            maps.legends.read("occurrence", MOOR_FROG, 9, "quantile")
        for layer in LAYERS:
            made = maps.legends.read(layer, MOOR_FROG, 0)
            assert made.field in {field.name for field in LAYERS[layer].fields}
