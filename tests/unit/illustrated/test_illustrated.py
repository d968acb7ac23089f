"""The illustrated atlas: its species, its drawings, and what its committed model has learned."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from illustrated.drawing import draw
from illustrated.evaluation import evaluate
from illustrated.species import RANKS, read_species

MODEL = Path(__file__).resolve().parents[3] / "illustrated" / "model"


def test_species_are_many_and_real_lineages() -> None:
    """A shrunken table, or a lineage of the wrong length, would show here."""
    species = read_species()
    groups = Counter(one.group for one in species)
    assert len(species) >= 150
    assert len({one.name for one in species}) == len(species)
    assert len(groups) >= 8
    assert all(len(one.lineage) == len(RANKS) for one in species)


def test_a_seed_draws_one_picture() -> None:
    """Drawing must not depend on anything but look and seed, or builds would differ."""
    look = read_species()[0].looks[0]
    first, second, other = (np.asarray(draw(look, seed, 96)) for seed in (4, 4, 5))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_model_is_small() -> None:
    """The weights are committed, so they must stay below 20 MB."""
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 20_000_000


@pytest.mark.slow
def test_model_answers_held_out_questions() -> None:
    """A model that had learned its training combinations by heart would fail here."""
    report = evaluate(MODEL, 240, 1, 192)
    assert report.held_out_queries >= 200
    assert report.precision_at_10 >= 0.90
    assert report.headline_hits == 10
