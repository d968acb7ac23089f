"""Fixtures that several kinds of test share: a tiny model, and a tiny bundle built for real."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import hypothesis
import pytest

from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Silent
from tests.factories import make_photos, make_tiny_model, write_plan

REPOSITORY = Path(__file__).resolve().parent.parent

# How long one example takes says nothing on a machine that others share. A run draws the same
# examples as the last one; `--hypothesis-profile=explore` draws others.
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.register_profile("atlas", deadline=None, derandomize=True)
hypothesis.settings.load_profile("atlas")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random OpenCLIP model of 24 dimensions."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 60 good records, faulty ones, and their photos."""
    folder = tmp_path_factory.mktemp("tiny-photos")
    make_photos(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_photos: Path
) -> Path:
    """The root of a bundle that the indexer built from `tiny_photos`. Never write to it."""
    folder = tmp_path_factory.mktemp("tiny-bundle")
    plan = write_plan(
        folder / "plan.toml", photos=tiny_photos, model=tiny_model, bundle=folder / "bundle"
    )
    build(read_plan(plan), Silent())
    return folder / "bundle"


@pytest.fixture(scope="session")
def unserved_bundle(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """A copy of the tiny bundle that no test's server has open. Never write to it.

    DuckDB opens a file once a process, with one configuration: the server's or a command's.
    """
    return Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("unserved") / "bundle"))


@pytest.fixture(scope="session")
def twin_bundle(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_photos: Path
) -> Path:
    """The same photos in two spaces of different dimensions, `tiny` and `wide`."""
    folder = tmp_path_factory.mktemp("twin-bundle")
    plan = write_plan(
        folder / "plan.toml",
        photos=tiny_photos,
        model={
            "tiny": tiny_model,
            "wide": make_tiny_model(folder / "wide", seed=2, dim=32),
        },
        bundle=folder / "bundle",
    )
    build(read_plan(plan), Silent())
    return folder / "bundle"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the checkout; tests that need it are skipped where there is none."""
    stated = os.environ.get("ATLAS_SHARED_DATA")
    folder = Path(stated) if stated else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data: set ATLAS_SHARED_DATA to its folder")
    return folder
