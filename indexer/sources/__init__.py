"""Where rows come from: the source that each `[[sources]]` entry of a plan means.

Sources read, and write nothing but what they keep in the work folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from indexer.plan import Plan
from indexer.plan_sections import (
    DwcaSection,
    EmbeddingsSection,
    FolderSection,
    InatOpenDataSection,
    RecordsSection,
    SourceSettings,
    TreeOfLifeSection,
    UrlsSection,
)
from indexer.sources.darwin_archive import DwcaSource
from indexer.sources.embeddings import EmbeddingsSource
from indexer.sources.folder import FolderSource
from indexer.sources.inat_open_data import InatOpenDataSource
from indexer.sources.record_tables import PART_ROWS, RecordTable
from indexer.sources.source import ReadPart as ReadPart
from indexer.sources.source import Source as Source
from indexer.sources.source import SourcePart as SourcePart
from indexer.sources.tree_of_life import TreeOfLifeSource
from indexer.sources.url_list import UrlSource


class _OfPhotos(TypedDict):
    """What every source is told whose rows may have photos that lie elsewhere."""

    ranks: Sequence[str]
    resolution: int
    part_rows: int
    with_pictures: bool
    max_file_bytes: int


def open_sources(plan: Plan) -> tuple[Source, ...]:
    """The sources of a plan, in its order. Files are not touched yet."""
    return tuple(_opened(settings, plan) for settings in plan.sources)


def _opened(settings: SourceSettings, plan: Plan) -> Source:  # noqa: PLR0911 - one for each kind
    ranks, resolution = plan.taxa.ranks, plan.cells.resolution
    # Rows without pictures weigh little, so their parts may be larger than the plan's.
    large = max(plan.parts.rows, PART_ROWS)
    of_photos: _OfPhotos = {
        "ranks": ranks,
        "resolution": resolution,
        "part_rows": plan.parts.rows if plan.spaces else large,
        "with_pictures": bool(plan.spaces),
        "max_file_bytes": plan.media.max_file_bytes,
    }
    scratch = plan.output.work_folder() / "sources" / settings.key
    match settings:
        case EmbeddingsSection():
            dims = {space.name: space.dim for space in plan.spaces}
            dim = dims[settings.space]
            return EmbeddingsSource(settings, ranks=ranks, dim=dim, resolution=resolution)
        case RecordsSection():
            return RecordTable(settings, ranks=ranks, resolution=resolution, part_rows=large)
        case DwcaSection():
            return DwcaSource(settings, **of_photos)
        case InatOpenDataSection():
            return InatOpenDataSource(settings, **of_photos, scratch=scratch)
        case TreeOfLifeSection():
            return TreeOfLifeSource(settings, **of_photos, scratch=scratch)
        case UrlsSection():
            return UrlSource(settings, **of_photos, scratch=scratch)
        case FolderSection():
            return FolderSource(
                settings,
                ranks=ranks,
                resolution=resolution,
                part_rows=plan.parts.rows,
                max_file_bytes=plan.media.max_file_bytes,
            )
