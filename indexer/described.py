"""What a build writes about itself: its sources and spaces in the words of catalog and manifest.

Pure functions of a plan and of what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atlas.bundle.manifest import (
    FORMAT_VERSION,
    Manifest,
    SegmentEntry,
    SourceEntry,
    SpaceDescription,
)
from atlas.search.encoder import OpenClipEncoder
from indexer.account import SourceAccount
from indexer.layers.built import LayerFiles
from indexer.plan import Plan
from indexer.plan_sections import SpaceSection
from indexer.quality.sensitive_taxa import SensitiveTaxa
from indexer.sources import Source
from indexer.stages.catalog import SourceRow
from indexer.stages.sort import SegmentSlice
from indexer.state import State


def source_rows(sources: Sequence[Source]) -> tuple[SourceRow, ...]:
    """The sources as the catalog lists them."""
    return tuple(
        SourceRow(
            key=source.settings.key,
            kind=str(source.settings.__struct_config__.tag),
            title=source.settings.title,
            citation=source.settings.citation,
            licence=source.settings.licence,
            url=source.settings.url,
        )
        for source in sources
    )


def source_entries(
    sources: Sequence[Source], accounts: Mapping[str, SourceAccount]
) -> tuple[SourceEntry, ...]:
    """The sources with their accounts, as the manifest lists them."""
    return tuple(
        SourceEntry(
            key=row.key,
            kind=row.kind,
            title=row.title,
            citation=row.citation,
            licence=row.licence,
            url=row.url,
            rows_in=accounts[row.key].rows_in,
            rows_out=accounts[row.key].rows_out,
            rejects=accounts[row.key].rejects,
        )
        for row in source_rows(sources)
        if row.key in accounts
    )


def space_description(
    section: SpaceSection, dim: int, encoder: OpenClipEncoder | None, factory: str | None
) -> SpaceDescription:
    """A space of a plan as its bundle tells of it; `encoder` is None where vectors came ready."""
    return SpaceDescription(
        name=section.name,
        # A folder of this machine means nothing elsewhere; the server is told where.
        encoder=section.encoder,
        pretrained=section.pretrained,
        fingerprint=encoder.fingerprint if encoder else section.fingerprint,
        dim=dim,
        preprocessing=encoder.preprocessing if encoder else {},
        prompts=section.prompts,
        factory=factory,
    )


def manifest_of(
    plan: Plan,
    state: State,
    cuts: Sequence[SegmentSlice],
    sources: tuple[SourceEntry, ...],
    layers: LayerFiles,
    dims: Mapping[str, int],
) -> Manifest:
    """The manifest of a plan's bundle, without its files; `dims` by space that has vectors."""
    return Manifest(
        format_version=FORMAT_VERSION,
        number=state.number,
        title=plan.atlas.title,
        description=plan.atlas.description,
        demonstration=plan.atlas.demonstration,
        built_at=state.built_at,
        identity=state.identity,
        rows=sum(cut.rows for cut in cuts),
        ranks=plan.taxa.ranks,
        cell_resolution=plan.cells.resolution,
        catalog=state.catalog_name,
        rejects=state.rejects_name,
        segments=tuple(
            SegmentEntry(
                name=cut.name,
                first_row=cut.first_row,
                rows=cut.rows,
                hosts_pictures=bool(plan.media.host),
            )
            for cut in cuts
        ),
        spaces=tuple(entry for entry in state.spaces if entry.name in dims),
        sources=sources,
        layers=layers.entries,
        files=(),
        sensitive=SensitiveTaxa.read(plan.sensitive.table).digest,
    )
