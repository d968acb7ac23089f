"""What this bundle is, for `/v1/atlas`: read once when the bundle is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import msgspec

from atlas.api.atlas_schemas import (
    AtlasCounts,
    AtlasDescription,
    FlagSummary,
    LicenceSummary,
    SourceSummary,
    SpaceSummary,
)
from atlas.api.layer_pages import layer_summary
from atlas.bundle import Bundle, SpaceDescription
from atlas.bundle.manifest import read_struct
from atlas.catalog import Catalog
from atlas.species.table_rows import table_rows

_COUNTS = """
    SELECT count(*) AS images, count(DISTINCT (source_id, occurrence_id)) AS records,
           (SELECT count(*) FROM taxon WHERE rank <> 'root') AS taxa,
           (SELECT count(*) FROM taxon WHERE rank = 'species') AS species,
           count(DISTINCT cell) AS cells,
           count(*) FILTER (flags & hidden.bits <> 0) AS held_back
    FROM image, (SELECT coalesce(bit_or(bit), 0) AS bits FROM flag WHERE held_back) AS hidden
"""
_LICENCES = """
    SELECT code, title, coalesce(url, '') AS url, hosting,
           (SELECT count(*) FROM image WHERE media_licence_id = licence_id) AS images
    FROM licence ORDER BY code
"""
_FLAGS = """
    SELECT name, meaning, held_back,
           (SELECT count(*) FROM image WHERE flags & bit <> 0) AS images
    FROM flag ORDER BY bit
"""


def describe_atlas(
    bundle: Bundle, catalog: Catalog, *, default_space: str | None, with_encoder: Collection[str]
) -> AtlasDescription:
    """The whole description; `with_encoder` are the spaces that can read text and photos here."""
    manifest = bundle.manifest
    rejects: Counter[str] = Counter()
    for source in manifest.sources:
        rejects.update(source.rejects)
    counts = table_rows(catalog.table(_COUNTS))[0]
    rule = catalog.duplicate_rule
    return AtlasDescription(
        title=manifest.title,
        description=manifest.description,
        demonstration=manifest.demonstration,
        bundle=manifest.number,
        built_at=manifest.built_at,
        counts=AtlasCounts(
            **counts,
            duplicate_groups=None if rule is None else rule.groups,
            duplicates=None if rule is None else rule.rows - rule.groups,
            rejects=sum(rejects.values()),
        ),
        ranks=list(manifest.ranks),
        cell_resolution=manifest.cell_resolution,
        default_space=default_space,
        spaces=[
            _space(bundle, space, reads_text=space.name in with_encoder)
            for space in bundle.spaces.values()
        ],
        sources=[
            msgspec.convert(source, SourceSummary, from_attributes=True)
            for source in manifest.sources
        ],
        layers=[layer_summary(entry) for entry in manifest.layers],
        licences=msgspec.convert(table_rows(catalog.table(_LICENCES)), list[LicenceSummary]),
        flags=msgspec.convert(table_rows(catalog.table(_FLAGS)), list[FlagSummary]),
        rejects=dict(sorted(rejects.items())),
    )


def _space(bundle: Bundle, space: SpaceDescription, *, reads_text: bool) -> SpaceSummary:
    return SpaceSummary(
        name=space.name,
        encoder=space.encoder,
        dim=space.dim,
        fingerprint=space.fingerprint,
        index=space.factory,
        reads_text=reads_text,
        recall=_curve(bundle, space.name),
    )


def _curve(bundle: Bundle, space: str) -> dict[str, Any] | None:
    """The measured curve of a space; None where the bundle lists no such file."""
    path = bundle.curve_path(space)
    listed = {bundle.root / entry.path for entry in bundle.manifest.files}
    return read_struct(path, dict) if path in listed else None
