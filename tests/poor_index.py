"""A search that an index does badly: one list, few candidates, and no way out to exact scoring."""

from __future__ import annotations

import msgspec

from atlas.search.curve import Curve, Need
from atlas.search.planner import SearchSettings, Tier
from atlas.search.retrieval import Retrieval

# One probed list, tiers of a few hits, and no shortcut to exact scoring.
POOR = SearchSettings(
    exact_ms=0.0,
    probes=1,
    tiers=(Tier(depth=7, fetch=9), Tier(depth=40, fetch=60, probe_factor=2)),
    calibrate=False,
)


def through_the_index(retrieval: Retrieval) -> Retrieval:
    """The same retrieval; scoring everything now seems to cost the world, and a glance enough."""
    for space, index in retrieval._spaces.items():
        index._curve = Curve(
            space=space,
            k=10,
            rows=1,
            points=(),
            needs=tuple(
                Need(queries=kind, kind="run", passing=1, covered=0.9, rows=1)
                for kind in ("image", "text")
            ),
        )
        index.costs = msgspec.structs.replace(index.costs, in_place_ns=1e9, gathered_ns=1e9)
    return retrieval
