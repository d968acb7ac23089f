"""Where rows come from: the source that each `[[sources]]` entry of a plan means.

Sources read, and write nothing but what they keep in the work folder.
"""

from __future__ import annotations

from indexer.plan import Plan
from indexer.plan_sections import (
    DwcaSection,
    EmbeddingsSection,
    InatOpenDataSection,
    RecordsSection,
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


def open_sources(plan: Plan) -> tuple[Source, ...]:
    """The sources of a plan, in its order. Files are not touched yet."""
    opened: list[Source] = []
    for settings in plan.sources:
        if isinstance(settings, EmbeddingsSection):
            dims = {space.name: space.dim for space in plan.spaces}
            opened.append(
                EmbeddingsSource(
                    settings,
                    ranks=plan.taxa.ranks,
                    dim=dims[settings.space],
                    resolution=plan.cells.resolution,
                )
            )
        elif isinstance(settings, RecordsSection):
            opened.append(
                RecordTable(
                    settings,
                    ranks=plan.taxa.ranks,
                    resolution=plan.cells.resolution,
                    part_rows=max(plan.parts.rows, PART_ROWS),
                )
            )
        elif isinstance(settings, DwcaSection):
            opened.append(
                DwcaSource(
                    settings,
                    ranks=plan.taxa.ranks,
                    resolution=plan.cells.resolution,
                    part_rows=plan.parts.rows if plan.spaces else max(plan.parts.rows, PART_ROWS),
                    with_pictures=bool(plan.spaces),
                    max_file_bytes=plan.media.max_file_bytes,
                )
            )
        elif isinstance(settings, InatOpenDataSection):
            opened.append(
                InatOpenDataSource(
                    settings,
                    ranks=plan.taxa.ranks,
                    resolution=plan.cells.resolution,
                    part_rows=plan.parts.rows if plan.spaces else max(plan.parts.rows, PART_ROWS),
                    with_pictures=bool(plan.spaces),
                    max_file_bytes=plan.media.max_file_bytes,
                    scratch=plan.output.work_folder() / "sources" / settings.key,
                )
            )
        elif isinstance(settings, TreeOfLifeSection):
            opened.append(
                TreeOfLifeSource(
                    settings,
                    ranks=plan.taxa.ranks,
                    resolution=plan.cells.resolution,
                    part_rows=plan.parts.rows if plan.spaces else max(plan.parts.rows, PART_ROWS),
                    with_pictures=bool(plan.spaces),
                    max_file_bytes=plan.media.max_file_bytes,
                    scratch=plan.output.work_folder() / "sources" / settings.key,
                )
            )
        elif isinstance(settings, UrlsSection):
            opened.append(
                UrlSource(
                    settings,
                    ranks=plan.taxa.ranks,
                    resolution=plan.cells.resolution,
                    part_rows=plan.parts.rows if plan.spaces else max(plan.parts.rows, PART_ROWS),
                    with_pictures=bool(plan.spaces),
                    max_file_bytes=plan.media.max_file_bytes,
                    scratch=plan.output.work_folder() / "sources" / settings.key,
                )
            )
        else:
            opened.append(
                FolderSource(
                    settings,
                    ranks=plan.taxa.ranks,
                    resolution=plan.cells.resolution,
                    part_rows=plan.parts.rows,
                    max_file_bytes=plan.media.max_file_bytes,
                )
            )
    return tuple(opened)
