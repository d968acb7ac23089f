"""The measured curve of a space: recall of its index against how far it looks.

`curve.json` is written by the builder's measurement; the server reads from it how far to look, so
that it serves the very settings whose recall was measured. It holds no times: those belong to a
machine, the curve to the bundle. Pure data.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

# Where no text-like queries could be measured they are expected to do worse than image-like ones:
# half of what is missing to 1 is then asked for in addition.
_KINDS = 2
_HARDLY_MORE = 0.0005


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """Recall at one setting; `default` marks the one that the server uses.

    `queries` is the kind of query (`image`, `text`). `path` is `exact` or `index`; `probes` and
    `fetch` are 0 where it is exact. `codes` is the mean number of codes scored for a query.
    """

    queries: str
    path: Literal["exact", "index"]
    probes: int
    fetch: int
    codes: float = 0.0
    recall: float
    asked: int
    default: bool


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a filter's rows the probed lists must hold.

    Where `passing` rows of a segment pass a filter of this `kind` (`random`: rows anywhere, `run`:
    a contiguous run, as of a taxon), a share `covered` of the true first k lies in the nearest
    lists that hold `rows` passing rows together.
    """

    queries: str
    kind: Literal["random", "run"]
    passing: int
    covered: float
    rows: int


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `curve.json`: recall at `k` of one space, by query kind and cost."""

    space: str
    k: int
    rows: int
    points: tuple[CurvePoint, ...]
    needs: tuple[Need, ...] = ()

    def served(self) -> tuple[CurvePoint, ...]:
        """The points at the setting that the server uses by default, one for each query kind."""
        return tuple(point for point in self.points if point.default)

    def cheapest(self, target: float) -> CurvePoint | None:
        """The setting with the fewest codes at which every kind of query reaches `target`.

        Where none does, the cheapest of those next to the best of all; None where no index was
        measured. Of the kinds' points at that setting, the one of least recall is given.
        """
        settings = self._settings()
        if not settings:
            return None
        recalls = {s: min(point.recall for point in points) for s, points in settings.items()}
        # Beyond the knee all lists find hardly more than some, at a hundred times the cost.
        wanted = min(self._wanted(target), max(recalls.values()) - _HARDLY_MORE)
        reached = [setting for setting, recall in recalls.items() if recall >= wanted]
        chosen = min(reached, key=lambda s: (cost_of(settings[s]), s))
        return min(settings[chosen], key=lambda point: point.recall)

    def rows_needed(self, passing: int, target: float, *, even: bool) -> int | None:
        """Passing rows that the probed lists must hold where `passing` rows pass a filter.

        Interpolated in logarithms between what was measured, at the nearest `covered` that is at
        least `target` (the highest where none is). Where passing rows lie `even` among the lists,
        what was measured with random rows counts, else the most demanding kind of filter. None
        where nothing was measured.
        """
        wanted = self._wanted(target)
        needs = [need for need in self.needs if not even or need.kind == "random"] or self.needs
        levels = sorted({need.covered for need in needs})
        if not levels:
            return None
        level = next((covered for covered in levels if covered >= wanted), levels[-1])
        most: dict[int, int] = {}
        for need in needs:
            if need.covered == level:
                most[need.passing] = max(most.get(need.passing, 0), need.rows)
        return min(passing, _interpolate(most, passing))

    def _settings(self) -> dict[tuple[int, int], list[CurvePoint]]:
        """Points of each (probes, fetch), where all kinds of queries were measured."""
        settings: dict[tuple[int, int], list[CurvePoint]] = {}
        for point in self.points:
            if point.path == "index":
                settings.setdefault((point.probes, point.fetch), []).append(point)
        kinds = len({point.queries for point in self.points})
        return {setting: points for setting, points in settings.items() if len(points) == kinds}

    def _wanted(self, target: float) -> float:
        measured = {point.queries for point in self.points} | {need.queries for need in self.needs}
        return target if len(measured) >= _KINDS else (1.0 + target) / 2.0


def cost_of(points: list[CurvePoint]) -> float:
    """What a setting costs, in codes; re-ranking a candidate costs about as much as eight."""
    return max(point.codes + 8.0 * point.fetch for point in points)


def _interpolate(known: dict[int, int], passing: int) -> int:
    """Rows needed at `passing`, between or beyond known pairs, in logarithms."""
    pairs = sorted(known.items())
    if len(pairs) == 1 or passing <= pairs[0][0]:
        return pairs[0][1]  # fewer passing rows need a larger share of them: not less than this
    upper = next((i for i in range(1, len(pairs)) if passing <= pairs[i][0]), len(pairs) - 1)
    (low_n, low), (high_n, high) = pairs[upper - 1], pairs[upper]
    share = math.log(passing / low_n) / math.log(high_n / low_n)
    return math.ceil(math.exp(math.log(max(low, 1)) * (1 - share) + math.log(max(high, 1)) * share))
