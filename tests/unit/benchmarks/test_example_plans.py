"""The plans in configs/: each is one that the indexer accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.plan import read_plan
from indexer.plan_sections import (
    EmbeddingsSection,
    FolderSection,
    RecordsSection,
    TreeOfLifeSection,
    UrlsSection,
)

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
NO_PLANS = {"serve.toml", "inquire.toml"}
PLANS = sorted(path for path in CONFIGS.glob("*.toml") if path.name not in NO_PLANS)


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_in_configs_is_accepted(path: Path) -> None:
    """A misspelt or outdated setting in an example would stop the first build of a newcomer."""
    plan = read_plan(path)
    for folder in (plan.output.bundle, *(source.path for source in plan.sources)):
        assert (CONFIGS.parent / "data") in folder.parents, f"{folder} is not below data/"


def test_the_bioclip_plans_name_the_model_and_its_captions() -> None:
    """With another query prompt than the captions it was trained on, BioCLIP finds worse."""
    for name in ("bioclip2-inaturalist", "bioclip2-embeddings", "bioclip2-tree-of-life"):
        (space,) = read_plan(CONFIGS / f"{name}.toml").spaces
        assert space.encoder == "hf-hub:imageomics/bioclip-2"
        assert (space.dim, space.prompts.query) == (768, "a photo of {text}.")


def test_the_examples_show_every_kind_of_source() -> None:
    """A kind of source without an example would have to be guessed."""
    kinds = {type(source) for path in PLANS for source in read_plan(path).sources}
    assert kinds == {
        FolderSection,
        EmbeddingsSection,
        RecordsSection,
        TreeOfLifeSection,
        UrlsSection,
    }


def test_no_example_copies_photos_that_may_not_be_copied() -> None:
    """People start from these plans, and would copy what they have no right to."""
    for path in PLANS:
        assert "All-Rights-Reserved" not in read_plan(path).media.host
