"""Seeded worlds of organism photos: vectors, taxa, places, days, observers, sources, licences.

`python -m benchmarks.worlds --rows N --dim D --seed S --output FOLDER` writes Parquet files and
`queries.npz`. Rows are made in blocks, each from a generator of its own, so any run of rows can be
made at any time with little memory, and equal seeds give equal bytes however they are cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import numpy.typing as npt

from benchmarks.clouds import Cloud, MadeUpCloud, RealCloud, read_real
from benchmarks.lineages import Lineages, grow, zipf_shares
from benchmarks.ranges import Ranges, Seen
from benchmarks.vectors import Matrix

# Sources hold random rows, so asking for one is a random filter of that share; key and share.
SOURCES = (
    ("source-50pct", 0.5),
    ("source-10pct", 0.1),
    ("source-1pct", 0.01),
    ("source-0-1pct", 0.001),
    ("source-0-01pct", 0.0001),
    ("source-rest", 0.3889),
)
LICENCES = (("CC-BY-NC-4.0", 0.62), ("CC-BY-4.0", 0.2), ("CC0-1.0", 0.12), ("CC-BY-SA-4.0", 0.06))
QUERY_KINDS = ("image", "text")

BLOCK_ROWS = 8_192
_ROWS_PER_SPECIES = 50
_ABUNDANCE = 0.9
# Numbers of the streams of random numbers: one for what is fixed, one a block, one for queries.
_FIXED, _ROWS, _QUERIES = 0, 1, 2


class Rows(NamedTuple):
    """A run of rows. `vectors` (n, dim) float16, unit; `uuid` (n, 16) uint8; the rest (n,)."""

    first_row: int
    uuid: npt.NDArray[np.uint8]
    vectors: npt.NDArray[np.float16]
    species: npt.NDArray[np.int32]
    seen: Seen
    source: npt.NDArray[np.int8]
    licence: npt.NDArray[np.int8]


class Queries(NamedTuple):
    """Queries of one kind: `vectors` (n, dim) float32, unit, each with a species and a place."""

    vectors: Matrix
    species: npt.NDArray[np.int32]
    seen: Seen


class World:
    """What is fixed of a world, and its rows and queries on request."""

    def __init__(self, rows: int, seed: int, lineages: Lineages, cloud: Cloud) -> None:
        """Use `made_up` or `from_real`."""
        self.rows = rows
        self.seed = seed
        self.lineages = lineages
        self.cloud = cloud
        random = np.random.default_rng([seed, _FIXED, 1])
        self.ranges = Ranges(lineages.nodes[:, -2], random)
        # Abundant species stand anywhere in the tree.
        self.abundance = random.permutation(zipf_shares(lineages.species, _ABUNDANCE))

    @classmethod
    def made_up(cls, rows: int, dim: int, seed: int) -> World:
        """A world in which everything is made up."""
        random = np.random.default_rng([seed, _FIXED, 0])
        lineages = grow(max(24, rows // _ROWS_PER_SPECIES), random)
        return cls(rows, seed, lineages, MadeUpCloud(lineages, dim, random))

    @classmethod
    def from_real(cls, rows: int, seed: int, file: Path) -> World:
        """A world whose taxa are a file's and whose vectors lie around that file's."""
        real = read_real(file)
        cloud = RealCloud(real, np.random.default_rng([seed, _FIXED, 0]))
        return cls(rows, seed, real.lineages, cloud)

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self.cloud.dim

    @property
    def identity(self) -> str:
        """What the world follows from, in words."""
        kind = "made up" if isinstance(self.cloud, MadeUpCloud) else "around real vectors"
        return f"{self.rows} x {self.dim}, seed {self.seed}, {kind}"

    def chunks(self, rows: int) -> Iterator[Rows]:
        """All rows in order, in runs of `rows` (the last may be shorter)."""
        for start in range(0, self.rows, rows):
            yield self.run(start, min(start + rows, self.rows))

    def run(self, start: int, stop: int) -> Rows:
        """Rows `start` to `stop` - 1."""
        blocks = [
            self._block(number) for number in range(start // BLOCK_ROWS, -(-stop // BLOCK_ROWS))
        ]
        inside = slice(start - blocks[0].first_row, stop - blocks[0].first_row)
        seen = [block.seen for block in blocks]
        return Rows(
            first_row=start,
            uuid=np.concatenate([block.uuid for block in blocks])[inside],
            vectors=np.concatenate([block.vectors for block in blocks])[inside],
            species=np.concatenate([block.species for block in blocks])[inside],
            seen=Seen(*(np.concatenate(parts)[inside] for parts in zip(*seen, strict=True))),
            source=np.concatenate([block.source for block in blocks])[inside],
            licence=np.concatenate([block.licence for block in blocks])[inside],
        )

    def _block(self, number: int) -> Rows:
        """A whole block, always of full length: a world's length changes no row."""
        random = np.random.default_rng([self.seed, _ROWS, number])
        species = self._species(BLOCK_ROWS, random)
        made = random.integers(0, 256, (BLOCK_ROWS, 16), np.uint8)
        made[:, 6] = made[:, 6] & 0x0F | 0x40  # UUID version 4
        made[:, 8] = made[:, 8] & 0x3F | 0x80
        return Rows(
            first_row=number * BLOCK_ROWS,
            uuid=made,
            species=species,
            seen=self.ranges.see(species, random),
            source=_pick([share for _, share in SOURCES], BLOCK_ROWS, random),
            licence=_pick([share for _, share in LICENCES], BLOCK_ROWS, random),
            vectors=self.cloud.images(species, random).astype(np.float16),
        )

    def _species(self, count: int, random: np.random.Generator) -> npt.NDArray[np.int32]:
        return random.choice(self.lineages.species, count, p=self.abundance).astype(np.int32)

    def queries(self, count: int) -> dict[str, Queries]:
        """`count` queries of each kind, drawn as rows are and not among them."""
        asked = {}
        for number, kind in enumerate(QUERY_KINDS):
            random = np.random.default_rng([self.seed, _QUERIES, number])
            asked[kind] = self.queries_of(kind, self._species(count, random), random)
        return asked

    def queries_of(
        self, kind: str, species: npt.NDArray[np.int32], random: np.random.Generator
    ) -> Queries:
        """A query of `kind` for each of the given species."""
        seen = self.ranges.see(species, random)
        make = self.cloud.image_queries if kind == "image" else self.cloud.text_queries
        return Queries(make(species, random), species, seen)


def _pick(shares: list[float], count: int, random: np.random.Generator) -> npt.NDArray[np.int8]:
    return random.choice(len(shares), count, p=np.array(shares) / sum(shares)).astype(np.int8)


@click.command()
@click.option("--rows", default=100_000, show_default=True, type=click.IntRange(1_000))
@click.option("--dim", default=768, show_default=True, type=click.IntRange(4))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--queries", default=1_000, show_default=True, type=click.IntRange(1))
@click.option("--shard-rows", default=500_000, show_default=True, type=click.IntRange(1_000))
@click.option("--output", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--real",
    default=None,
    type=click.Path(path_type=Path, exists=True),
    help="Parquet file of real vectors (emb, kingdom … species) to resample instead.",
)
def main(
    rows: int,
    dim: int,
    seed: int,
    queries: int,
    shard_rows: int,
    output: Path,
    real: Path | None,
) -> None:
    """Write a world as Parquet files and its queries as `queries.npz`."""
    # Writing needs pyarrow's tables, making does not.
    from benchmarks.shards import write_queries, write_shards  # noqa: PLC0415

    world = World.from_real(rows, seed, real) if real else World.made_up(rows, dim, seed)
    output.mkdir(parents=True, exist_ok=True)
    write_queries(world, queries, output / "queries.npz")
    for path in write_shards(world, output, shard_rows):
        print(path)


if __name__ == "__main__":
    main()
