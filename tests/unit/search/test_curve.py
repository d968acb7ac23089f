"""What a server reads from the measured curve: the cheapest setting, and how far filters reach."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from atlas.search.curve import Curve, CurvePoint, Need


def point(queries: str, probes: int, fetch: int, recall: float, codes: float) -> CurvePoint:
    """One measured point of an index."""
    return CurvePoint(
        queries=queries,
        path="index",
        probes=probes,
        fetch=fetch,
        codes=codes,
        recall=recall,
        asked=10,
        default=False,
    )


POINTS = (
    point("image", 8, 100, 0.98, 800.0),
    point("text", 8, 100, 0.90, 900.0),
    point("image", 16, 100, 0.99, 1_600.0),
    point("text", 16, 100, 0.96, 1_700.0),
    point("image", 16, 400, 0.995, 1_600.0),
    point("text", 16, 400, 0.98, 1_700.0),
)
NEEDS: tuple[Need, ...] = tuple(
    Need(
        queries=queries,
        kind="run" if kind == "run" else "random",
        passing=passing,
        covered=covered,
        rows=rows,
    )
    for queries, kind, passing, covered, rows in (
        ("image", "random", 10_000, 0.9, 1_000),
        ("image", "random", 10_000, 0.99, 3_000),
        ("text", "run", 10_000, 0.99, 4_000),
        ("image", "random", 1_000_000, 0.99, 40_000),
    )
)


def test_the_cheapest_setting_that_all_kinds_reach() -> None:
    """Image-like queries alone must not decide: text lies elsewhere in the space."""
    curve = Curve(space="s", k=10, rows=10_000, points=POINTS)
    for target, wanted in ((0.9, (8, 100)), (0.95, (16, 100)), (0.98, (16, 400))):
        chosen = curve.cheapest(target)
        assert chosen is not None
        assert (chosen.probes, chosen.fetch) == wanted
        assert chosen.queries == "text"
    best = curve.cheapest(0.9999)
    assert best is not None
    assert (best.probes, best.fetch) == (16, 400)
    assert Curve(space="s", k=10, rows=1, points=()).cheapest(0.9) is None


def test_what_cannot_be_reached_does_not_cost_everything() -> None:
    """All lists find hardly more than some: who asks for too much must not wait for all of them."""
    points = tuple(
        point(kind, probes, 400, recall, 100.0 * probes)
        for kind in ("image", "text")
        for probes, recall in ((8, 0.9), (64, 0.9958), (512, 0.996), (4_096, 0.996))
    )
    chosen = Curve(space="s", k=10, rows=10_000, points=points).cheapest(0.999)
    assert chosen is not None
    assert chosen.probes == 64


def test_without_text_more_is_asked_of_images() -> None:
    """A bundle whose space has no text tower here is still asked in text-like vectors elsewhere."""
    images = tuple(p for p in POINTS if p.queries == "image")
    chosen = Curve(space="s", k=10, rows=10_000, points=images).cheapest(0.97)
    assert chosen is not None
    assert (chosen.probes, chosen.fetch) == (16, 100)  # .985 is wanted, .98 is not enough


def test_needs_are_read_at_the_level_and_between_sizes() -> None:
    """Too few rows lose hits under a filter; the most demanding kind of filter counts."""
    curve = Curve(space="s", k=10, rows=10_000, points=POINTS, needs=NEEDS)
    assert curve.rows_needed(10_000, 0.99, even=False) == 4_000
    assert curve.rows_needed(10_000, 0.9, even=False) == 1_000
    between = curve.rows_needed(100_000, 0.99, even=False)
    assert between is not None
    assert 12_000 < between < 13_000  # halfway between 4,000 and 40,000 in logarithms
    assert curve.rows_needed(5_000, 0.99, even=False) == 4_000
    assert curve.rows_needed(10_000, 0.99, even=True) == 3_000
    assert curve.rows_needed(300, 0.99, even=False) == 300
    assert Curve(space="s", k=10, rows=1, points=POINTS).rows_needed(5, 0.9, even=False) is None


@given(st.integers(1, 10**8), st.integers(1, 10**8), st.floats(0.01, 1.0))
def test_needs_grow_with_what_passes(one: int, other: int, target: float) -> None:
    """A larger filter that looked at fewer rows than a smaller one would be a trap."""
    curve = Curve(space="s", k=10, rows=10_000, points=POINTS, needs=NEEDS)
    few, many = sorted((one, other))
    less, more = (
        curve.rows_needed(few, target, even=False),
        curve.rows_needed(many, target, even=False),
    )
    assert less is not None
    assert more is not None
    assert less <= more
    assert less <= few


def test_a_curve_of_an_older_bundle_is_read() -> None:
    """Bundles that were measured before needs were known must stay servable."""
    old = {"space": "s", "k": 10, "rows": 5, "points": []}
    assert msgspec.json.decode(msgspec.json.encode(old), type=Curve).needs == ()
