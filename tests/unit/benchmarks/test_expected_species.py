"""The masked-record test: what is hidden stays hidden, the measures are right, ours beats all."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.communities import Community, Visited, gather, read_atlantic_birds
from benchmarks.expected_methods import every_method
from benchmarks.expected_species import folds, main, masked, measure, verdict, well_sampled
from benchmarks.ranking import by_score, draws_of_blocks, quality, resampled
from benchmarks.virtual_species import simulate


@pytest.fixture(scope="module")
def world() -> Community:
    """A small simulated world."""
    return simulate(60_000, 4, species=120)


def _brute(scores: list[int], right: list[bool]) -> tuple[float, float]:
    """AUC by comparing every two pairs; average precision by walking down the distinct scores."""
    s, r = np.array(scores), np.array(right)
    above = [
        1.0 if mine > theirs else 0.5 if mine == theirs else 0.0
        for mine in s[r]
        for theirs in s[~r]
    ]
    gained = [(r & (s == score)).sum() / r.sum() * r[s >= score].mean() for score in set(scores)]
    return float(np.mean(above)), float(sum(gained))


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_measures_by_brute_force(pairs: list[tuple[int, bool]]) -> None:
    """With ties, as counts of cells give them: a tie must not be broken in anyone's favour."""
    scores, right = (list(column) for column in zip(*pairs, strict=True))
    found = quality(
        by_score(np.array(scores, float), np.array(right), np.zeros(len(pairs), np.int64))
    )
    if all(right) or not any(right):
        assert np.isnan(found.auc)
    else:
        assert found == pytest.approx(_brute(scores, right))


def test_drawing_a_block_twice_is_having_it_twice() -> None:
    """Resampling weighs whole blocks; each draw is the measure of what was drawn."""
    random = np.random.default_rng(2)
    scores, block = random.random(3_000), random.integers(0, 4, 3_000)
    right = random.random(3_000) < scores / 2
    draws = np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 1.0, 1.0]])
    whole, drawn = resampled(by_score(scores, right, block), draws)
    assert whole == pytest.approx(quality(by_score(scores, right, block)), abs=0.002)
    rows = np.concatenate([np.flatnonzero(block == number) for number in (0, 0, 2, 3)])
    again = quality(by_score(scores[rows], right[rows], block[rows]))
    assert drawn == pytest.approx(again, abs=0.002)
    assert (draws_of_blocks(5, 10, 1).sum(axis=1) == 5).all()


def test_a_species_is_hidden_from_the_whole_block_and_once(world: Community) -> None:
    """Were one record of it left beside, the nearest-neighbour baselines would just copy it."""
    block = np.arange(len(world.cells)) % 7
    every = list(folds(world, block, seed=3))
    assert (np.sum(every, axis=0) == (world.records > 0)).all()
    for hidden in every:
        left = masked(world, hidden)
        assert not left.records[hidden].any()
        assert not left.incidences[hidden].any()
        for number in range(7):
            inside = block == number
            whole = hidden[inside].any(axis=0)
            assert not left.records[np.ix_(inside, whole)].any()


def test_methods_see_nothing_of_what_is_hidden(world: Community) -> None:
    """A score that moved with the hidden records would be read from the answer."""
    asked = well_sampled(world)
    hidden = next(iter(folds(world, np.arange(len(world.cells)) % 7, seed=3)))
    seen = masked(world, hidden)
    other = masked(world._replace(records=np.where(hidden, 7, world.records)), hidden)
    for method in every_method():
        first, second = method(seen, asked), method(other, asked)
        for name, scores in first.items():
            np.testing.assert_array_equal(scores, second[name])


@pytest.mark.slow
def test_ours_beats_all_three_baselines_in_a_small_world(world: Community) -> None:
    """Each baseline is there once, ours is ahead of it in both measures, and the verdict knows."""
    records = measure(world, 3, seed=4)
    methods = [record["method"] for record in records if record["right"] == "hidden"]
    for name in ("atlas", "global frequency", "3x3 cells of 1 degree", "ratio kernel"):
        assert methods.count(name) == 1
    assert all(0.0 <= record["auc_low"] <= record["auc"] <= 1.0 for record in records)
    assert verdict(records)[0].startswith("pass: simulated, hidden")
    worse = [record | {"auc": 0.1} if record["method"] == "atlas" else record for record in records]
    assert verdict(worse)[0].startswith("FAIL")


def test_the_simulated_world_is_true_to_itself(world: Community) -> None:
    """Nothing is met where it does not live, and much is overlooked; the seed is everything."""
    assert world.lives is not None
    assert not (world.records[~world.lives] > 0).any()
    assert (world.records[world.lives] == 0).any()
    assert (world.incidences.max(axis=1) <= world.visits).all()
    assert 0.7 < world.records.sum() / 60_000 < 1.6
    again = simulate(60_000, 4, species=120)
    np.testing.assert_array_equal(again.records, world.records)
    assert simulate(60_000, 5, species=120).records.sum() != world.records.sum()


def test_gathering_counts_visits_not_records() -> None:
    """Two photos on one visit are one incidence; a visit with two cells is one of each."""
    visited = Visited(
        latitude=np.array([0.0, 0.0, 0.0, 20.0]),
        longitude=np.array([0.0, 0.0, 0.0, 20.0]),
        species=np.array([0, 0, 1, 1]),
        visit=np.array([0, 0, 1, 1]),
    )
    found = gather("tiny", visited, 3)
    first = int(np.argmax(found.records.sum(axis=1)))
    assert found.records[first].tolist() == [2, 1]
    assert found.incidences[first].tolist() == [1, 1]
    assert found.visits.tolist() == ([2, 1] if first == 0 else [1, 2])


def test_every_row_of_the_real_table_is_accounted_for(shared_data: Path) -> None:
    """Rows used and rows left out, by reason, are all 150,423."""
    visited, left_out = read_atlantic_birds(shared_data)
    assert len(visited.visit) + sum(left_out.values()) == 150_423
    assert left_out["outside the region"] == 650
    assert visited.latitude.max() < 0.0


@pytest.mark.slow
def test_the_command_writes_records_without_real_data(tmp_path: Path) -> None:
    """Where the real table is not there it says so, and measures the simulated world."""
    file = tmp_path / "records.json"
    arguments = ["--rows", "4000", "--blocks", "2", "--data", str(tmp_path), "--json", str(file)]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "atlantic birds: not measured" in done.output
    records = msgspec.json.decode(file.read_bytes())
    assert {"world", "method", "auc", "average_precision"} <= records[0].keys()
    assert {record["world"] for record in records} == {"simulated"}
