"""Layers through the life of a bundle: built with it, extended by `add`, kept by `compact`."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import Manifest
from atlas.bundle.segment import ROWS
from atlas.catalog import Catalog
from atlas.geo.layers import Layers
from atlas.search.compiler import CompiledFilter, FilterCompiler
from atlas.search.filters import Filter
from atlas.search.place_filters import Near
from indexer.add import add
from indexer.build import build
from indexer.commands import indexer
from indexer.compact import compact
from indexer.plan import read_plan
from indexer.plan_sections import IndexSection, MeasureSection
from indexer.progress import Silent
from indexer.prune import prune
from tests.factories import make_photos, write_plan

RIVER = """{"type": "Feature", "properties": {}, "geometry": {"type": "LineString",
"coordinates": [[-84.5, 9.5], [-84.0, 10.0], [-83.5, 10.6]]}}"""
WITHIN = Filter(near=(Near(feature="river", within_m=60_000),), flags="all")


@pytest.fixture
def river(tmp_path: Path) -> Path:
    """A river that some records are near, and others are not."""
    path = tmp_path / "river.geojson"
    path.write_text(f'{{"type": "FeatureCollection", "features": [{RIVER}]}}')
    return path


def plan_with(folder: Path, photos: Path, model: Path, river: Path | None, key: str) -> Path:
    """A plan for `folder`/bundle, with the river as a layer."""
    layer = {} if river is None else {"[layers]": f'name = "river"\nfile = "{river}"'}
    plan = write_plan(
        folder / f"{key}.toml",
        photos=photos,
        model=model,
        bundle=folder / "bundle",
        **({"rejects": "max_share = 0.9"} | layer),
    )
    plan.write_text(plan.read_text().replace('key = "tiny"', f'key = "{key}"'))
    return plan


def compiled(root: Path) -> tuple[CompiledFilter, set[str]]:
    """What is near the river in the live state, and the image ids that are."""
    bundle = Bundle.open(root)
    catalog = Catalog.open(bundle.catalog_path)
    compiler = FilterCompiler(
        catalog,
        bundle.segments,
        finest=bundle.manifest.cell_resolution,
        cache_bytes=10**6,
        layers=Layers.of(bundle),
    )
    found = compiler.compile(WITHIN)
    rows = [
        segment.first_row + int(position)
        for segment, selection in zip(bundle.segments, found.selections, strict=True)
        for position in selection.positions()
    ]
    ids = {str(image_id) for image_id in catalog.image_ids(rows).values()}
    catalog.close()
    return found, ids


def manifest_of(root: Path) -> Manifest:
    """The live manifest."""
    return Bundle.open(root, "sizes").manifest


def test_a_plans_layer_is_there_from_the_first_state_on(
    tmp_path: Path, tiny_photos: Path, tiny_model: Path, river: Path
) -> None:
    """The layer is part of the bundle: verified, the same as a command makes, and built once."""
    plan = read_plan(plan_with(tmp_path, tiny_photos, tiny_model, river, "tiny"))
    built = build(plan, Silent())
    (entry,) = built.manifest.layers
    assert entry.segments == ("0001",)
    assert build(plan, Silent()).was_live
    found, ids = compiled(tmp_path / "bundle")
    assert 0 < found.matching < built.manifest.rows
    again = CliRunner().invoke(
        indexer, ["layer", "add", "river", str(river), "--to", str(tmp_path / "bundle"), "--quiet"]
    )
    assert again.exit_code == 0, again.output
    assert compiled(tmp_path / "bundle")[1] == ids
    # A layer that was added by hand is no other bundle: the plan still has nothing to do.
    assert build(plan, Silent()).was_live
    river.write_text(river.read_text().replace("9.5", "9.4"))
    assert not build(plan, Silent()).was_live


def check_places_in_order(root: Path) -> None:
    """Every segment keeps the places of its own rows, and of all that have one."""
    for segment in Bundle.open(root).segments:
        order = segment.place_order
        assert order is not None
        rows = pq.read_table(root / "segments" / segment.name / ROWS)
        for name, kept in (("latitude", order.latitude), ("longitude", order.longitude)):
            column = rows[name].to_numpy()
            assert len(kept) == np.count_nonzero(np.isfinite(column))
            assert np.array_equal(kept, column[order.row])


@pytest.mark.parametrize("stated", [True, False])
def test_added_rows_are_measured_or_counted_as_not_judged(
    stated: bool, tmp_path: Path, tiny_photos: Path, tiny_model: Path, river: Path
) -> None:
    """A row without a value must not pass, and not vanish from the account either."""
    root = tmp_path / "bundle"
    build(read_plan(plan_with(tmp_path, tiny_photos, tiny_model, river, "tiny")), Silent())
    before, ids_before = compiled(root)
    more = tmp_path / "more"
    table = make_photos(more, records=40, seed=77)
    table.write_text(table.read_text().replace("urn:test:", "urn:more:"))
    plan = plan_with(tmp_path, more, tiny_model, river if stated else None, "more")
    added = add(read_plan(plan), root, Silent()).manifest
    check_places_in_order(root)
    after, ids_after = compiled(root)
    assert ids_before < ids_after if stated else ids_before == ids_after
    new_rows = added.segments[1].rows
    (entry,) = added.layers
    if stated:
        assert entry.segments == ("0001", "0002")
        assert after.unjudged < before.unjudged + new_rows
        assert Layers.of(Bundle.open(root)).all()[0].covers(1)
    else:
        assert entry.segments == ("0001",)
        assert after.unjudged == before.unjudged + new_rows

    compact(root, index=IndexSection(segment_rows=50), settings=MeasureSection(), watcher=Silent())
    assert len(manifest_of(root).segments) > 1
    check_places_in_order(root)
    compacted, ids_compacted = compiled(root)
    assert ids_compacted == ids_after
    assert compacted.unjudged == after.unjudged
    prune(root, dry_run=False)
    assert compiled(root)[1] == ids_after


def test_removed_rows_leave_their_neighbours_values(
    tmp_path: Path, tiny_photos: Path, tiny_model: Path, river: Path
) -> None:
    """A tombstone must not shift the values of the rows behind it."""
    root = tmp_path / "bundle"
    build(read_plan(plan_with(tmp_path, tiny_photos, tiny_model, river, "tiny")), Silent())
    _, ids = compiled(root)
    gone = min(ids)
    with duckdb.connect(str(Bundle.open(root).catalog_path), read_only=True) as connection:
        (occurrence,) = connection.execute(
            "SELECT occurrence_id FROM image JOIN image_identity USING (row_id) WHERE image_id = ?",
            [gone],
        ).fetchall()[0]
        dropped = connection.execute(
            "SELECT image_id::VARCHAR FROM image JOIN image_identity USING (row_id) "
            "WHERE occurrence_id = ?",
            [occurrence],
        ).fetchall()
    result = CliRunner().invoke(indexer, ["remove", str(root), "--occurrence-id", occurrence])
    assert result.exit_code == 0, result.output
    assert compiled(root)[1] == ids - {image_id for (image_id,) in dropped}
    compact(root, index=IndexSection(segment_rows=100), settings=MeasureSection(), watcher=Silent())
    shutil.rmtree(root.with_name("bundle.work"), ignore_errors=True)
    assert compiled(root)[1] == ids - {image_id for (image_id,) in dropped}
