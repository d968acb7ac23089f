"""Measures a finished bundle again, with other queries or after a move to another machine."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import SpaceDescription
from atlas.errors import BundleError, EncoderError, SpaceUnavailable
from atlas.search.curve import Curve
from indexer.captions import caption_queries
from indexer.progress import Watcher
from indexer.recall import measure_recall
from indexer.space_encoder import encoder_of
from indexer.stages.measure import MeasuredSegment, QuerySet


def measure_bundle(
    root: Path, *, queries: int, k: int, seed: int, watcher: Watcher
) -> tuple[Curve, ...]:
    """The recall curve of every space of the live bundle, from fresh queries drawn by `seed`.

    Raises BundleError where the bundle is damaged or has no space.
    """
    bundle = Bundle.open(root, "sizes")
    if not bundle.spaces:
        raise BundleError(root, "holds records without pictures, so there is no search to measure")
    names = _taxon_names(bundle)
    curves = []
    for space in bundle.spaces.values():
        segments = [
            MeasuredSegment(
                segment.first_row, segment.vectors(space.name), segment.index(space.name)
            )
            for segment in bundle.segments
        ]
        captions = captions_of(space, names, queries, seed, watcher)
        curves.append(
            measure_recall(
                space.name, segments, captions, queries=queries, k=k, seed=seed, watcher=watcher
            )
        )
    return tuple(curves)


def _taxon_names(bundle: Bundle) -> pa.Table:
    with duckdb.connect(str(bundle.catalog_path), read_only=True) as connection:
        names: pa.Table = connection.sql(
            "SELECT scientific_name, common_name FROM taxon ORDER BY taxon_id"
        ).to_arrow_table()
        return names


def captions_of(
    space: SpaceDescription, names: pa.Table, count: int, seed: int, watcher: Watcher
) -> QuerySet | None:
    """Captions of the taxa in `names`, in the space; None where its encoder is not at hand."""
    try:
        encoder = encoder_of(space)
    except (EncoderError, SpaceUnavailable) as error:
        watcher.note(f"text-like queries are not measured: {error}")
        return None
    return caption_queries(names, space.prompts, encoder, count, seed)
