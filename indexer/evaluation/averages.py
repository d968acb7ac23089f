"""Means over queries with bootstrap confidence intervals, of all queries and by category. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

CONFIDENCE = 0.95
# Numbers drawn at once; bounds memory, not the result (each resample draws in turn).
_DRAWN_AT_ONCE = 1_000_000


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean over queries and its confidence interval; None where one query gives none."""

    mean: float
    low: float | None
    high: float | None


class GroupScores(msgspec.Struct, frozen=True, kw_only=True):
    """The measures at depth `k` over the `queries` whose `column` says `value`.

    Both are "" for all queries together. `measures` are by name.
    """

    column: str
    value: str
    k: int
    queries: int
    measures: dict[str, Estimate]


def estimates(values: Values, *, resamples: int, seed: int) -> list[Estimate]:
    """The mean over queries of each measure, `values` (queries, measures), with its interval.

    The interval is the percentile bootstrap over queries: `resamples` times as many queries as
    there are, drawn with replacement by `seed`, and the middle 95 % of their means. It says how far
    the result depends on which queries were asked, nothing of errors in the judgements; below some
    ten queries it is too narrow. Source: Efron and Tibshirani (1993), An Introduction to the
    Bootstrap, chapter 13; for means over queries Sakai (2006), SIGIR. In numpy, since scipy, whose
    `bootstrap` with `method="percentile"` it agrees with, is no dependency of the atlas.
    """
    means = values.mean(axis=0)
    if len(values) < 2:
        return [Estimate(mean=float(mean), low=None, high=None) for mean in means]
    random = np.random.default_rng(seed)
    drawn = np.empty((resamples, values.shape[1]))
    step = max(1, _DRAWN_AT_ONCE // values.size)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        chosen = random.integers(0, len(values), (count, len(values)))
        drawn[start : start + count] = values[chosen].mean(axis=1)
    edges = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return [
        Estimate(mean=float(mean), low=float(low), high=float(high))
        for mean, low, high in zip(means, *edges, strict=True)
    ]


def by_category(
    measured: Mapping[str, Values],
    columns: Sequence[str],
    categories: Sequence[tuple[str, ...]],
    *,
    k: int,
    resamples: int,
    seed: int,
) -> tuple[GroupScores, ...]:
    """All queries first, then every value of every column, in alphabetical order.

    `measured` has one number a query by measure, `categories[i]` the values of query i in the order
    of `columns`. All queries weigh the same, as in INQUIRE-Fullrank, whose results are the mean
    over queries and not over categories.
    """
    table = np.stack(list(measured.values()), axis=1)
    groups: list[tuple[str, str, npt.NDArray[np.int64]]] = [("", "", np.arange(len(table)))]
    for position, column in enumerate(columns):
        values = np.array([of_query[position] for of_query in categories])
        groups += [(column, str(v), np.flatnonzero(values == v)) for v in np.unique(values)]
    return tuple(
        GroupScores(
            column=column,
            value=value,
            k=k,
            queries=len(members),
            measures=dict(
                zip(
                    measured,
                    estimates(table[members], resamples=resamples, seed=seed),
                    strict=True,
                )
            ),
        )
        for column, value, members in groups
    )
