"""Asks a bundle every query of a set, in every space, and scores what comes back.

The composition of reading, matching, searching and measuring. One thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import SpaceDescription
from atlas.errors import BuildError, BundleError, EncoderError, NotFound, SpaceUnavailable
from atlas.search.encoder import Encoder
from atlas.search.prompts import query_prompt
from indexer.evaluation.averages import GroupScores, by_category
from indexer.evaluation.matching import Matching, match_images
from indexer.evaluation.metrics import (
    Found,
    average_precision,
    normalised_gain,
    recall,
    reciprocal_rank,
)
from indexer.evaluation.query_set import Query, read_query_set
from indexer.evaluation.searched import Reach, RowIds, SearchedSpace, hidden_rows, open_space
from indexer.evaluation.settings import QuerySetSettings
from indexer.progress import Watcher
from indexer.space_encoder import encoder_of

MEASURES = {
    "ap": average_precision,
    "ndcg": normalised_gain,
    "reciprocal_rank": reciprocal_rank,
    "recall": recall,
}
# Texts encoded between two steps of the progress bar; the encoder's own batches are smaller.
_TEXTS = 256


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to evaluate. `spaces` empty: every space that can be asked in words."""

    depths: tuple[int, ...] = (50,)
    spaces: tuple[str, ...] = ()
    exact: bool = False
    with_held_back: bool = False
    resamples: int = 10_000
    seed: int = 0


class QueryScores(msgspec.Struct, frozen=True, kw_only=True):
    """One query at depth `k` in one space; `relevant` rows, `missing` images, `measures` by name.

    `first_rank` is the rank of the first relevant hit within `k`, None where there is none.
    """

    space: str
    query_id: str
    text: str
    categories: tuple[str, ...]
    relevant: int
    missing: int
    k: int
    first_rank: int | None
    measures: dict[str, float]


class SpaceScores(msgspec.Struct, frozen=True, kw_only=True):
    """One space: how it was searched, and its means over queries. `probes` is 0 if `exact`."""

    space: str
    encoder: str
    fingerprint: str
    path: str
    probes: int
    fetch: int
    groups: tuple[GroupScores, ...]


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """What was left out, and why: a space, or a query by its text."""

    name: str
    why: str


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result, with what it is a result of.

    `images` distinct images are named; `unknown` of them the bundle does not have, `hidden` it has
    but does not answer with. `left_out` queries have no relevant image that can be found and are in
    no average.
    """

    bundle: str
    number: int
    rows: int
    searched_rows: int
    query_set: str
    match: str
    queries: int
    images: int
    unknown: int
    hidden: int
    repeated: int
    others: int
    left_out: tuple[Unanswered, ...]
    spaces_left_out: tuple[Unanswered, ...]
    resamples: int
    seed: int
    columns: tuple[str, ...]
    spaces: tuple[SpaceScores, ...]


def evaluate_bundle(
    root: Path, query_file: Path, settings: QuerySetSettings, options: Options, watcher: Watcher
) -> tuple[Evaluation, tuple[QueryScores, ...]]:
    """Evaluate the live bundle below `root`: the means, and the scores of every query.

    Raises PlanError for a query set that cannot be used, BundleError for a damaged bundle, NotFound
    or SpaceUnavailable or EncoderError for a space that was asked for by name, BuildError where
    nothing is left to evaluate.
    """
    query_set = read_query_set(query_file, settings)
    bundle = Bundle.open(root, "sizes")
    if not bundle.spaces:
        raise BundleError(bundle.root, "holds records without pictures: nothing can be asked of it")
    for name in options.spaces:
        if name not in bundle.spaces:
            raise NotFound("space", name)
    hidden = hidden_rows(bundle, with_held_back=options.with_held_back)
    matching = match_images(bundle, query_set.queries, settings.match, hidden)
    asked, left_out = _answerable(query_set.queries, matching)
    if not asked:
        raise BuildError(
            "evaluate",
            f"no query of {query_file} has a relevant image in {root}: "
            f"{len(matching.unknown)} images are unknown by `{settings.match}`, "
            f"{len(matching.hidden)} are not answered with",
        )
    scored: list[QueryScores] = []
    spaces: list[SpaceScores] = []
    spaces_left_out: list[Unanswered] = []
    for name, encoder in _encoders(bundle, options.spaces, watcher, spaces_left_out):
        searched = open_space(bundle, name, hidden, exact=options.exact)
        prompts = [query_prompt(bundle.spaces[name].prompts, query.text) for query in asked]
        hits = _ask(searched, encoder, prompts, max(options.depths), watcher)
        of_space = _score(name, asked, hits, matching, options.depths)
        groups = _groups(of_space, query_set.columns, options)
        spaces.append(_space_scores(bundle.spaces[name], encoder.fingerprint, searched, groups))
        scored += of_space
    if not spaces:
        raise BuildError("evaluate", f"no space of {root} can be asked in words")
    evaluation = Evaluation(
        bundle=bundle.manifest.title,
        number=bundle.manifest.number,
        rows=bundle.manifest.rows,
        searched_rows=bundle.manifest.rows - len(hidden),
        query_set=query_file.name,
        match=settings.match,
        queries=len(query_set.queries),
        images=len({image for query in query_set.queries for image in query.images}),
        unknown=len(matching.unknown),
        hidden=len(matching.hidden),
        repeated=query_set.repeated,
        others=query_set.others,
        left_out=left_out,
        spaces_left_out=tuple(spaces_left_out),
        resamples=options.resamples,
        seed=options.seed,
        columns=query_set.columns,
        spaces=tuple(spaces),
    )
    return evaluation, tuple(scored)


def _answerable(
    queries: Sequence[Query], matching: Matching
) -> tuple[list[Query], tuple[Unanswered, ...]]:
    """The queries with a relevant row, and why the others have none."""
    asked, left_out = [], []
    for query in queries:
        if len(matching.relevant_rows(query)):
            asked.append(query)
        else:
            left_out.append(Unanswered(name=query.text, why=_why(query, matching)))
    return asked, tuple(left_out)


def _encoders(
    bundle: Bundle, wanted: Sequence[str], watcher: Watcher, left_out: list[Unanswered]
) -> Iterator[tuple[str, Encoder]]:
    """Each space that can be asked in words, with its encoder, one in memory at a time.

    What cannot be asked is noted and added to `left_out`, or raised where it was `wanted` by name.
    """
    for name in wanted or tuple(bundle.spaces):
        try:
            encoder = encoder_of(bundle.spaces[name])
        except (EncoderError, SpaceUnavailable) as error:
            if wanted:
                raise
            watcher.note(f"space {name} is not evaluated: {error}")
            left_out.append(Unanswered(name=name, why=str(error)))
            continue
        yield name, encoder


def _space_scores(
    space: SpaceDescription,
    fingerprint: str,
    searched: SearchedSpace,
    groups: tuple[GroupScores, ...],
) -> SpaceScores:
    reach = searched.reach or Reach(0, 0)
    return SpaceScores(
        space=space.name,
        encoder=space.encoder,
        fingerprint=fingerprint,
        path="exact" if searched.reach is None else "index",
        probes=reach.probes,
        fetch=reach.fetch,
        groups=groups,
    )


def _ask(
    searched: SearchedSpace, encoder: Encoder, prompts: Sequence[str], depth: int, watcher: Watcher
) -> list[RowIds]:
    """The first `depth` rows for each prompt; texts are encoded in batches."""
    hits = []
    with watcher.stage("evaluate", len(prompts), "queries") as advance:
        for start in range(0, len(prompts), _TEXTS):
            for vector in encoder.encode_texts(prompts[start : start + _TEXTS]):
                hits.append(searched.first_rows(vector, depth))
                advance(1)
    return hits


def _score(
    space: str,
    queries: Sequence[Query],
    hits: Sequence[RowIds],
    matching: Matching,
    depths: Sequence[int],
) -> list[QueryScores]:
    scored = []
    for k in depths:
        for query, rows in zip(queries, hits, strict=True):
            relevant = matching.relevant_rows(query)
            found: Found = np.isin(rows[:k], relevant)
            scored.append(
                QueryScores(
                    space=space,
                    query_id=query.query_id,
                    text=query.text,
                    categories=query.categories,
                    relevant=len(relevant),
                    missing=matching.missing(query),
                    k=k,
                    first_rank=int(found.argmax()) + 1 if found.any() else None,
                    measures={
                        name: measure(found, len(relevant), k) for name, measure in MEASURES.items()
                    },
                )
            )
    return scored


def _groups(
    scored: Sequence[QueryScores], columns: Sequence[str], options: Options
) -> tuple[GroupScores, ...]:
    groups: list[GroupScores] = []
    for k in options.depths:
        of_depth = [one for one in scored if one.k == k]
        groups += by_category(
            {name: np.array([one.measures[name] for one in of_depth]) for name in MEASURES},
            columns,
            [one.categories for one in of_depth],
            k=k,
            resamples=options.resamples,
            seed=options.seed,
        )
    return tuple(groups)


def _why(query: Query, matching: Matching) -> str:
    if not query.images:
        return "no relevant image is named"
    hidden = sum(image in matching.hidden for image in query.images)
    return f"{len(query.images) - hidden} images unknown, {hidden} not answered with"
