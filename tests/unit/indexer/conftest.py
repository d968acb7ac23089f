"""A source of a small folder of pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.plan_sections import FolderSection
from indexer.sources.folder import FolderSource
from tests.unit.indexer.tables import RANKS, FolderMaker


@pytest.fixture
def folder_source(tmp_path: Path) -> FolderMaker:
    """Make a source from `tmp_path/photos` and a table's bytes."""

    def make(content: bytes, *, name: str = "records.csv", **settings: object) -> FolderSource:
        (tmp_path / "photos").mkdir(exist_ok=True)
        records = tmp_path / name
        records.write_bytes(content)
        part_rows = settings.pop("part_rows", 3)
        max_file_bytes = settings.pop("max_file_bytes", 1_000_000)
        assert isinstance(part_rows, int)
        assert isinstance(max_file_bytes, int)
        section = FolderSection(
            key="frogs",
            title="Frogs",
            path=tmp_path / "photos",
            records=records,
            **settings,  # type: ignore[arg-type]
        )
        return FolderSource(
            section,
            ranks=RANKS,
            resolution=7,
            part_rows=part_rows,
            max_file_bytes=max_file_bytes,
        )

    return make
