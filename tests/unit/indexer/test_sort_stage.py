"""The sort stage against a plain sort of the same rows in memory."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from atlas.bundle.flags import Flag
from atlas.bundle.manifest import SegmentEntry
from atlas.bundle.segment import Segment, vectors_name
from atlas.species.taxa import TaxonName, build_tree
from indexer.stages.sort import cut_segments
from tests.unit.indexer.world import (
    DIMS,
    RANKS,
    Row,
    World,
    image_id,
    make_row,
    random_rows,
    sort_world,
    vector_of,
    write_segments,
)

# Parts of one row and of none are legal: everything else of them may have been refused.
SIZES = (90, 1, 0, 120)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Some 200 rows of four parts in four segments."""
    # A folder as people name them: all of it is special to globs or to SQL.
    folder = tmp_path_factory.mktemp("sorted") / "Ada's [work] *?"
    return sort_world(folder, random_rows(11, SIZES), 60)


def came(world: World) -> list[tuple[int, int, Row]]:
    """Part, position and content of every row, in the order of the parts."""
    return [
        (part, position, row)
        for part, rows in enumerate(world.rows)
        for position, row in enumerate(rows)
    ]


def kept_and_refused(world: World) -> tuple[list[tuple[int, int, Row]], list[tuple[int, Row]]]:
    """What a plain walk through the rows keeps, and what it refuses as a duplicate."""
    seen: set[str] = set()
    kept, refused = [], []
    for part, position, row in came(world):
        if row["image_id"] in seen:
            refused.append((part, row))
        else:
            seen.add(row["image_id"])
            kept.append((part, position, row))
    return kept, refused


def sorted_plainly(world: World) -> list[tuple[int, int, Row]]:
    """The kept rows as a plain sort orders them, with their taxon."""
    kept, _ = kept_and_refused(world)
    names = [
        TaxonName(lineage=tuple(row["lineage"]), scientific_name=row["scientific_name"])
        for _, _, row in kept
    ]
    numbers = build_tree(names, RANKS).assignment.tolist()
    rows = [
        (part, position, row | {"taxon_id": taxon})
        for (part, position, row), taxon in zip(kept, numbers, strict=True)
    ]
    return sorted(
        rows,
        key=lambda item: (
            item[2]["taxon_id"],
            item[2]["cell"] is None,
            item[2]["cell"] or 0,
            item[2]["observed_from"] is None,
            str(item[2]["observed_from"]),
            item[2]["image_id"],
        ),
    )


def test_rows_are_those_of_a_plain_sort(world: World) -> None:
    """Would break: a row is lost, doubled, changed, or out of order; maps and ranges go wrong."""
    wanted = sorted_plainly(world)
    stored = world.stored()
    assert [row["row_id"] for row in stored] == list(range(len(wanted)))
    assert [row["image_id"] for row in stored] == [row["image_id"] for _, _, row in wanted]
    for found, (_, _, row) in zip(stored, wanted, strict=True):
        flagged = found.pop("flags")
        del found["row_id"]
        assert flagged & ~Flag.DUPLICATE_PICTURE == row["flags"]
        assert found == {name: row[name] for name in found}
    order = pq.read_table(world.order).to_pylist()
    assert [(row["part"], row["position"]) for row in order] == [item[:2] for item in wanted]


def test_the_world_has_what_could_go_wrong(world: World) -> None:
    """Would break: the comparison above proves nothing, because nothing special came up."""
    stored = world.stored()
    assert world.found.duplicates > 5
    assert len(world.cuts) == 4
    assert {row["cell"] is None for row in stored} == {True, False}
    assert {row["observed_from"] is None for row in stored} == {True, False}
    keys = [(row["taxon_id"], row["cell"], row["observed_from"]) for row in stored]
    assert len(set(keys)) < len(keys)


def test_duplicates_are_refused_with_their_reason(world: World) -> None:
    """Would break: a photo is counted twice, or vanishes without a trace."""
    kept, refused = kept_and_refused(world)
    assert (world.found.rows, world.found.duplicates) == (len(kept), len(refused))
    assert len(kept) + len(refused) == sum(SIZES)
    rejects = pq.read_table(world.duplicates).to_pylist()
    assert rejects == [
        {
            "source_key": row["source_key"],
            "part": f"part-{part:05d}",
            "row": row["row"],
            "occurrence_id": row["occurrence_id"],
            "media_ref": row["media_ref"],
            "stage": "sort",
            "reason": "duplicate_image_id",
            "detail": f"image {row['image_id']} came in an earlier row",
        }
        for part, row in refused
    ]


def test_only_later_copies_of_a_picture_are_marked(world: World) -> None:
    """Would break: the default filter hides a picture altogether, or shows it twice."""
    kept, _ = kept_and_refused(world)
    seen: set[str] = set()
    copies = set()
    for _, _, row in kept:
        checksum = row["media_sha256"]
        if checksum is not None and checksum in seen:
            copies.add(row["image_id"])
        seen.add(checksum)
    marked = {row["image_id"] for row in world.stored() if row["flags"] & Flag.DUPLICATE_PICTURE}
    assert marked == copies
    assert copies


def test_vectors_follow_their_row(world: World) -> None:
    """Would break: every search finds the wrong photos, with scores that look right."""
    wanted = sorted_plainly(world)
    for space, dim in DIMS.items():
        vectors = np.concatenate(
            [
                np.fromfile(world.segment(cut) / vectors_name(space), "<f2").reshape(-1, dim)
                for cut in world.cuts
            ]
        )
        expected = [vector_of(part, position, space) for part, position, _ in wanted]
        assert np.array_equal(vectors, np.array(expected))


def test_pictures_follow_their_row(world: World) -> None:
    """Would break: a photo is shown under the name and licence of another."""
    wanted = sorted_plainly(world)
    for cut in world.cuts:
        entry = SegmentEntry(
            name=cut.name, first_row=cut.first_row, rows=cut.rows, hosts_pictures=True
        )
        segment = Segment(world.segment(cut), entry, DIMS)
        assert segment.tombstones == BitMap()
        for position in range(cut.rows):
            picture = segment.picture(position)
            media = wanted[cut.first_row + position][2]["media"]
            assert picture == (None if media is None else (media, "image/jpeg"))


def test_a_subtree_is_one_run_in_every_segment(world: World) -> None:
    """Would break: a search within a taxon misses rows, or takes in another's."""
    stored = world.stored()
    for taxon in pq.read_table(world.taxa).to_pylist():
        inside = [
            all(own in {"", name} for own, name in zip(taxon["path"], row["lineage"], strict=True))
            for row in stored
        ]
        numbers = range(taxon["taxon_id"], taxon["last_descendant"] + 1)
        assert inside == [row["taxon_id"] in numbers for row in stored]
        for cut in world.cuts:
            run = np.flatnonzero(inside[cut.first_row : cut.first_row + cut.rows])
            assert len(run) == 0 or run[-1] - run[0] == len(run) - 1


def test_taxa_with_empty_ranks_are_kept(world: World) -> None:
    """Would break: fungi without a family, and photos without a name, drop out of the atlas."""
    taxa = pq.read_table(world.taxa).to_pylist()
    assert [taxon["taxon_id"] for taxon in taxa] == list(range(len(taxa)))
    by_name = {taxon["scientific_name"]: taxon for taxon in taxa}
    amanita = by_name["Amanita"]
    assert taxa[amanita["parent_id"]]["scientific_name"] == "Agaricales"
    assert amanita["path"] == ["Fungi", "Agaricales", "", "Amanita", ""]
    assert [taxa[above]["scientific_name"] for above in by_name["Amanita muscaria"]["lineage"]] == [
        "Life",
        "Fungi",
        "Agaricales",
        "Amanita",
    ]
    assert taxa[0]["parent_id"] is None
    assert [taxon["scientific_name"] for taxon in taxa].count("Oenanthe") == 2
    nameless = [row for row in world.stored() if not any(row["lineage"])]
    assert nameless
    assert {row["taxon_id"] for row in nameless} == {0}


def test_names_can_be_looked_up(world: World) -> None:
    """Would break: completion knows no common names, or finds them under another taxon."""
    taxa = pq.read_table(world.taxa).to_pylist()
    names = pq.read_table(world.names).to_pylist()
    scientific = [name for name in names if name["kind"] == "scientific"]
    assert {name["taxon_id"]: name["name"] for name in scientific} == {
        taxon["taxon_id"]: taxon["scientific_name"] for taxon in taxa
    }
    (common,) = [name for name in names if name["kind"] == "common"]
    assert (common["folded"], common["language"]) == ("common frog", "en")
    rana = taxa[common["taxon_id"]]
    assert (rana["scientific_name"], rana["common_name"]) == ("Rana temporaria", "common frog")
    assert [name["folded"] for name in names] == sorted(name["folded"] for name in names)


def test_a_second_run_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    """Would break: a resumed build differs from an undisturbed one."""
    again = sort_world(tmp_path, world.rows, 60)
    files = [path for path in world.folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        assert path.read_bytes() == (tmp_path / path.relative_to(world.folder)).read_bytes()
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    lost = again.segment(again.cuts[1]) / vectors_name("looks")
    content = lost.read_bytes()
    lost.unlink()
    write_segments(again)
    assert lost.read_bytes() == content
    kept = {path for path, time in written.items() if path.stat().st_mtime_ns == time}
    # Tombstones are a few bytes and are always written again.
    assert {path.name for path in set(written) - kept} <= {lost.name, "tombstones.roar"}


def test_the_order_of_parts_decides_between_duplicates(tmp_path: Path) -> None:
    """Would break: of two sources with one image, the plan's first one is not the one kept."""
    rng = np.random.default_rng(1)
    rows = [make_row(number, rng) for number in range(3)]
    for row, holder in zip(rows, ("first", "second", "third"), strict=True):
        row.update(image_id=image_id(0), rights_holder=holder)
    world = sort_world(tmp_path, [[rows[0], rows[1]], [rows[2]]], 10)
    assert world.found.duplicates == 2
    assert [row["rights_holder"] for row in world.stored()] == ["first"]


@given(st.integers(0, 500), st.integers(1, 600), st.integers(1, 900))
def test_segments_are_dense_and_of_nearly_one_size(rows: int, most: int, first: int) -> None:
    """Would break: a row belongs to no segment, or one segment outgrows the plan's limit."""
    cuts = cut_segments(rows, most, first)
    assert cuts[0].first_row == 0
    for before, after in pairwise(cuts):
        assert after.first_row == before.first_row + before.rows
    sizes = [cut.rows for cut in cuts]
    assert sum(sizes) == rows
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(cuts) == max(1, -(-rows // most))
    assert [int(cut.name) for cut in cuts] == list(range(first, first + len(cuts)))
