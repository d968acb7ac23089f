"""Measures a finished bundle again, with other queries or after a move to another machine."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import SpaceDescription
from atlas.errors import EncoderError
from atlas.search.encoder import EncoderChoice, load_encoder
from indexer.captions import caption_queries
from indexer.progress import Watcher
from indexer.stages.measure import (
    Curve,
    MeasuredSegment,
    QuerySet,
    image_queries,
    measure_space,
    settings_of,
)


def measure_bundle(
    root: Path, *, queries: int, k: int, seed: int, watcher: Watcher
) -> tuple[Curve, ...]:
    """The recall curve of every space of the live bundle, from fresh queries drawn by `seed`.

    Raises BundleError where the bundle is damaged.
    """
    bundle = Bundle.open(root, "sizes")
    names = _taxon_names(bundle)
    curves = []
    for space in bundle.spaces.values():
        segments = [
            MeasuredSegment(
                segment.first_row, segment.vectors(space.name), segment.index(space.name)
            )
            for segment in bundle.segments
        ]
        sets = [image_queries(segments, queries, seed)]
        captions = captions_of(space, names, queries, seed, watcher)
        if captions is not None:
            sets.append(captions)
        total = len(settings_of(segments)) * len(sets)
        with watcher.stage("measure", total, "settings") as advance:
            curves.append(measure_space(space.name, segments, sets, k=k, progress=advance))
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
    if not space.encoder:
        watcher.note(f"space {space.name} has no encoder: text-like queries are not measured")
        return None
    try:
        encoder = load_encoder(EncoderChoice(spec=space.encoder, pretrained=space.pretrained))
    except EncoderError as error:
        watcher.note(f"text-like queries are not measured: {error}")
        return None
    if space.fingerprint is not None and encoder.fingerprint != space.fingerprint:
        watcher.note(f"text-like queries are not measured: {space.encoder} has other weights")
        return None
    return caption_queries(names, space.prompts, encoder, count, seed)
