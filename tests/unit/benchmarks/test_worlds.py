"""The seeded worlds of the benchmarks: the same bytes for the same seed, and true to life."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from benchmarks.conditions import ANYTHING, Condition, WorldOnDisk
from benchmarks.lineages import RANKS, grow
from benchmarks.questions import TAXON_SHARES, cases
from benchmarks.worlds import BLOCK_ROWS, SOURCES, World, main
from indexer.plan_sections import DEFAULT_RANKS, EmbeddingsSection
from indexer.sources.embeddings import EmbeddingsSource

ROWS, DIM = 20_000, 16
FIELDS = ("uuid", "vectors", "species", "source", "licence")


@pytest.fixture(scope="module")
def world() -> World:
    """A small world."""
    return World.made_up(ROWS, DIM, seed=7)


@pytest.fixture(scope="module")
def on_disk(world: World, tmp_path_factory: pytest.TempPathFactory) -> WorldOnDisk:
    """The same world, written and opened."""
    return WorldOnDisk(world, tmp_path_factory.mktemp("world"))


def _digest(world: World, chunk_rows: int) -> str:
    """All bytes of a world, column by column, as its chunks give them."""
    chunks = list(world.chunks(chunk_rows))
    digest = hashlib.sha256()
    for name in FIELDS:
        digest.update(np.concatenate([getattr(chunk, name) for chunk in chunks]).tobytes())
    for field in zip(*(chunk.seen for chunk in chunks), strict=True):
        digest.update(np.concatenate(field).tobytes())
    return digest.hexdigest()


def test_equal_seeds_give_equal_bytes(world: World) -> None:
    """Records of two runs could not be compared if a seed made another world each time."""
    assert _digest(World.made_up(ROWS, DIM, seed=7), BLOCK_ROWS) == _digest(world, BLOCK_ROWS)
    assert _digest(World.made_up(ROWS, DIM, seed=8), BLOCK_ROWS) != _digest(world, BLOCK_ROWS)


@pytest.mark.parametrize("chunk_rows", [977, BLOCK_ROWS + 1, ROWS])
def test_chunking_changes_no_byte(world: World, chunk_rows: int) -> None:
    """A world written in other pieces, on a machine with less memory, would be another world."""
    assert _digest(world, chunk_rows) == _digest(world, BLOCK_ROWS)


def test_vectors_are_unit_and_species_are_near_each_other(world: World) -> None:
    """Filters are only hard where vectors follow the taxa, as real ones do."""
    rows = world.run(0, 4_000)
    vectors = rows.vectors.astype(np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, np.nan)
    classes = world.lineages.nodes[rows.species, 2]
    same_species = rows.species[:, None] == rows.species
    same_class = classes[:, None] == classes
    means = [
        np.nanmean(cosines[mask])
        for mask in (same_species, same_class & ~same_species, ~same_class)
    ]
    assert means[0] > means[1] > means[2]


def test_tree_has_every_rank_in_every_lineage_and_siblings_of_unequal_size() -> None:
    """Taxa of all sizes have to exist for filters of all selectivities."""
    lineages = grow(2_000, np.random.default_rng(1))
    counts = [len(names) for names in lineages.names]
    assert counts == sorted(counts)
    assert counts[-1] == 2_000
    assert counts[RANKS.index("order")] >= 24
    for depth, names in enumerate(lineages.names):
        assert len(set(names)) == len(names)
        assert set(lineages.nodes[:, depth]) == set(range(len(names)))
        if depth:
            # A node has one parent, whichever species is looked at.
            pairs = {tuple(pair) for pair in lineages.nodes[:, [depth, depth - 1]].tolist()}
            assert len(pairs) == len(names)
    families = np.bincount(lineages.nodes[:, RANKS.index("family")])
    assert families.max() > 5 * np.median(families)


def test_a_folder_belongs_to_one_world(world: World, tmp_path: Path) -> None:
    """Answers about one world checked against another would look like poor recall."""
    small = World.made_up(1_000, 8, seed=0)
    WorldOnDisk(small, tmp_path)
    WorldOnDisk(small, tmp_path)
    with pytest.raises(ValueError, match="another world: 1000 x 8, seed 0, made up"):
        WorldOnDisk(world, tmp_path)


def test_sources_hold_their_share_at_random(on_disk: WorldOnDisk) -> None:
    """A `random` filter that leaned towards some taxa would be another filter."""
    species = on_disk.columns["species"]
    abundant = np.bincount(species).argmax()
    for number, (_, share) in enumerate(SOURCES):
        passing = on_disk.passes(Condition(source=number))
        expected = share * ROWS
        assert abs(passing.sum() - expected) <= 5 * np.sqrt(expected) + 1
    half = on_disk.passes(Condition(source=0))
    assert abs(half[species == abundant].mean() - 0.5) < 0.1


def test_a_region_says_something_of_the_taxon(on_disk: WorldOnDisk) -> None:
    """Filters of taxon and region are correlated in life, which is what defeats over-fetching."""
    genus = on_disk.world.lineages.nodes[on_disk.columns["species"], RANKS.index("genus")]
    largest = np.bincount(genus).argmax()
    everywhere = np.ptp(np.quantile(on_disk.columns["longitude"], [0.25, 0.75]))
    own = np.ptp(np.quantile(on_disk.columns["longitude"][genus == largest], [0.25, 0.75]))
    assert own < everywhere / 2


def test_days_have_a_season(on_disk: WorldOnDisk) -> None:
    """Months that all held the same would make the month filter a random one."""
    north = np.asarray(on_disk.columns["latitude"]) > 30
    months = np.bincount(on_disk.month[north], minlength=13)[1:]
    assert months[5:7].sum() > 3 * months[[0, 11]].sum()
    days = on_disk.columns["day"]
    assert date(2005, 1, 1) <= date.fromordinal(719_163 + int(days.min()))
    assert date.fromordinal(719_163 + int(days.max())) <= date(2025, 12, 31)


def test_questions_have_the_selectivity_that_they_state(on_disk: WorldOnDisk) -> None:
    """A line of the report that says 1 % has to be of about 1 %."""
    asked = cases(on_disk, ("none", "own_taxon", "other_taxon", "region_month"), 5)
    assert {case.filter for case in asked} == {"none", "own_taxon", "other_taxon", "region_month"}
    nodes = on_disk.world.lineages.nodes
    for case in asked:
        for question in case.questions:
            share = on_disk.passes(question.condition).mean()
            if case.filter == "none":
                assert question.condition == ANYTHING
            elif case.filter.endswith("taxon") and case.share in TAXON_SHARES[:2]:
                assert question.condition.taxon is not None
                depth, node = question.condition.taxon
                held = np.isin(on_disk.columns["species"], np.flatnonzero(nodes[:, depth] == node))
                assert share == held.mean()
                assert case.share / 2.2 <= share <= case.share * 2.2
            elif case.filter == "region_month":
                assert 0 < share < 0.1


def test_written_world_is_read_by_the_source_of_ready_vectors(tmp_path: Path) -> None:
    """The files are there to be built into bundles by plans of kind `embeddings`."""
    arguments = ["--rows", "9000", "--dim", "16", "--queries", "5", "--output", str(tmp_path)]
    result = CliRunner().invoke(main, [*arguments, "--shard-rows", "8192"])
    assert result.exit_code == 0, result.output
    files = sorted(tmp_path.glob("world-*.parquet"))
    assert [pq.read_metadata(file).num_rows for file in files] == [BLOCK_ROWS, 9_000 - BLOCK_ROWS]
    assert pq.read_schema(files[0]).field("emb").type == pa.list_(pa.float16(), 16)
    settings = EmbeddingsSection(key="w", title="w", path=tmp_path / "world-*.parquet", space="s")
    source = EmbeddingsSource(settings, ranks=DEFAULT_RANKS, dim=None)
    read = [source.read(part) for part in source.parts()]
    assert sum(part.records.num_rows for part in read) == 9_000
    assert sum(part.rejects.num_rows for part in read) == 0
    first = World.made_up(9_000, 16, seed=0).run(0, 1)
    record = read[0].records.slice(0, 1).to_pylist()[0]
    assert record["image_id"].replace("-", "") == first.uuid.tobytes().hex()
    np.testing.assert_allclose(record["embedding"], first.vectors[0], atol=1e-3)
    with np.load(tmp_path / "queries.npz") as queries:
        assert queries["text"].shape == (5, 16)


def test_world_around_real_vectors_keeps_their_taxa(tmp_path: Path) -> None:
    """The check against real vectors would say nothing if taxa and vectors came apart."""
    random = np.random.default_rng(3)
    vectors = random.standard_normal((40, 8)).astype(np.float32)
    ranks = {rank: [f"{rank} {i % 4}" for i in range(40)] for rank in RANKS[:-1]}
    table = pa.table({"emb": list(vectors), **ranks, "species": [f"s {i % 8}" for i in range(40)]})
    pq.write_table(table, tmp_path / "real.parquet")
    world = World.from_real(2_000, 0, tmp_path / "real.parquet")
    assert (world.lineages.species, world.dim) == (8, 8)
    rows = world.run(0, 2_000)
    mean = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for species in range(8):
        name = world.lineages.names[-1][species]
        own = mean[[i for i in range(40) if f"s {i % 8}" == name]]
        drawn = rows.vectors[rows.species == species].astype(np.float32)
        nearest = (drawn @ mean.T).argmax(axis=1)
        of_own = np.isin(nearest, np.flatnonzero((mean[:, None] == own).all(axis=2).any(axis=1)))
        assert of_own.mean() > 0.5
