"""The measured curve of a space: recall of its index against how far it looks.

`curve.json` is written by the builder's measurement; the server reads from it how many inverted
lists to probe, so that it serves the very setting whose recall was measured. Pure data.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """Recall at one setting; `default` marks the one that the server uses.

    `queries` is the kind of query (`image`, `text`). `path` is `exact` or `index`; `probes` and
    `fetch` are 0 where it is exact.
    """

    queries: str
    path: Literal["exact", "index"]
    probes: int
    fetch: int
    recall: float
    asked: int
    default: bool


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `curve.json`: recall at `k` of one space, by query kind and cost."""

    space: str
    k: int
    rows: int
    points: tuple[CurvePoint, ...]

    def default_probes(self) -> int | None:
        """Inverted lists to probe by default; None where the curve marks no such setting."""
        marked = [point.probes for point in self.points if point.default and point.path == "index"]
        return max(marked, default=None)


def fewest_probes(points: tuple[CurvePoint, ...], *, fetch: int, target_recall: float) -> int:
    """The fewest lists at which every kind of query reaches `target_recall` with `fetch`.

    The most that was measured where none does. ValueError when nothing was measured at `fetch`.
    """
    measured = [point for point in points if point.path == "index" and point.fetch == fetch]
    if not measured:
        raise ValueError(f"no point of this curve has fetch {fetch}")
    kinds = {point.queries for point in measured}
    ladder = sorted({point.probes for point in measured})
    for probes in ladder:
        reached = {
            point.queries
            for point in measured
            if point.probes == probes and point.recall >= target_recall
        }
        if reached == kinds:
            return probes
    return ladder[-1]
