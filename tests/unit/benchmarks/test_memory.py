"""The memory benchmark opens a bundle as the server does and answers every mixed search."""

from __future__ import annotations

from pathlib import Path

from atlas.app import open_atlas
from atlas.settings import BundleSettings, Settings, SpacesSettings
from benchmarks.conditions import WorldOnDisk
from benchmarks.memory import measure_here, mixed_searches, resident_bytes
from benchmarks.systems.world_bundle import build_world
from benchmarks.worlds import World


def test_memory_is_weighed_after_mixed_searches(tmp_path: Path) -> None:
    """The number of bytes a row would be of an idle server if the searches were refused."""
    data = WorldOnDisk(World.made_up(1_500, 8, seed=4), tmp_path / "world")
    seconds = build_world(data, tmp_path, "auto")
    assert {"sort", "segments", "catalog", "measure", "publish"} <= set(seconds)
    found = measure_here(tmp_path / "bundle", 40, seed=1)
    assert (found["rows"], found["dim"], found["asked"]) == (1_500, 8, 40)
    assert 0 < found["started_mb"] <= found["asked_mb"] + 50
    assert resident_bytes()["file"] > 0


def test_searches_follow_from_the_seed_and_mix_their_filters(tmp_path: Path) -> None:
    """Two runs could not be compared if each asked something else."""
    data = WorldOnDisk(World.made_up(1_500, 8, seed=4), tmp_path / "world")
    build_world(data, tmp_path, "auto")
    opened = open_atlas(
        Settings(
            bundle=BundleSettings(path=str(tmp_path / "bundle")),
            spaces=SpacesSettings(missing_encoder="serve"),
        )
    )
    searches = list(mixed_searches(opened, 100, seed=2))
    assert searches == list(mixed_searches(opened, 100, seed=2))
    filters = [search.filter for search in searches]
    for name in ("taxon", "months", "bbox", "sources"):
        assert any(getattr(asked, name) is not None for asked in filters)
    opened.questions.close()
    opened.catalog.close()
