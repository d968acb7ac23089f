"""A source of a small folder of pictures, and bundles that several modules read."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.build import build
from indexer.plan import read_plan
from indexer.plan_sections import FolderSection
from indexer.progress import Silent
from indexer.sources.folder import FolderSource
from tests.factories import make_photos, write_plan
from tests.unit.indexer.frog_atlas import build_archive, write_frogs
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


@pytest.fixture(scope="session")
def indexed_bundle(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The root of a bundle of 290 photos whose index has two lists. Never write to it."""
    folder = tmp_path_factory.mktemp("indexed-bundle")
    make_photos(folder / "photos", records=290, seed=1)
    plan = write_plan(
        folder / "plan.toml",
        photos=folder / "photos",
        model=tiny_model,
        bundle=folder / "atlas",
        rejects="max_share = 0.9",
        index='exact_below = 10\nfactory = "IVF2,SQ8"',
        measure="recall_target = 0.5",
    )
    build(read_plan(plan), Silent())
    return folder / "atlas"


@pytest.fixture(scope="session")
def frogs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a bundle of records with addresses of photos. Never write to it."""
    folder = tmp_path_factory.mktemp("frogs")
    return build_archive(folder, write_frogs(folder / "archive"), "frogs")
