"""Vectors of a made-up world: species of one genus lie near each other, genera of one family too.

Two clouds of one shape, with the traits that make real image embeddings hard to search: few
directions carry most of the variance, all lie in a narrow cone, and texts lie off the images, as
the text tower's do. One is all made up, calibrated on 1,030 published BioCLIP 2 vectors: norm of
the mean .77, cosine of random pairs .58 (median), of the nearest neighbour .67 to .95. The other
lies around real image vectors. What is fixed is drawn once; rows and queries come from the
generator of the call.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.lineages import RANKS, Lineages
from benchmarks.vectors import Matrix, random_basis, spectrum, unit

Species = npt.NDArray[np.int32]

# A little less than the norm of their mean: few kingdoms leave a mean of their own.
_CONE = 0.75
# Length of the offset of a taxon from its parent, by rank. Their squares sum to those of two levels
# that fit the published vectors: .36 for the families, .30 for the species in them.
_OFFSETS = (0.11, 0.14, 0.17, 0.18, 0.19, 0.18, 0.24)
_IMAGE = 0.45
_TEXT = 0.30
_DISTURBANCE = 0.15
# How much of a real vector's distance from their mean is kept when it is resampled; noise of
# their covariance makes up for the rest. Two draws from one vector then have a cosine of about .8,
# which is that of nearest neighbours among the real ones (.78, median).
_KEPT = 0.75


class Cloud(Protocol):
    """Draws unit vectors for rows and queries of given species."""

    @property
    def dim(self) -> int:
        """Length of the vectors."""

    def images(self, species: Species, random: np.random.Generator) -> Matrix:
        """Photos, (n, dim) float32."""

    def image_queries(self, species: Species, random: np.random.Generator) -> Matrix:
        """Photos that no index ever saw, a little disturbed, (n, dim) float32."""

    def text_queries(self, species: Species, random: np.random.Generator) -> Matrix:
        """Texts: the species shows, the single image does not; in a cone of their own."""


class MadeUpCloud:
    """Anisotropic offsets that add up along the tree of taxa."""

    def __init__(self, lineages: Lineages, dim: int, random: np.random.Generator) -> None:
        """Draw the centre of every species."""
        self._scale = spectrum(dim)
        self._basis = random_basis(dim, random)
        self._cone = unit(random.standard_normal((1, dim), np.float32))
        self._gap = unit(random.standard_normal((1, dim), np.float32))
        self._centres = np.zeros((lineages.species, dim), np.float32)
        for depth, length in enumerate(_OFFSETS):
            offsets = self._offsets(len(lineages.names[depth]), random) * np.float32(length)
            self._centres += offsets[lineages.nodes[:, depth]]

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return len(self._scale)

    def _offsets(self, count: int, random: np.random.Generator) -> Matrix:
        """Anisotropic offsets of expected length one, (count, dim)."""
        noise = random.standard_normal((count, self.dim), np.float32)
        turned: Matrix = np.multiply(noise, self._scale, dtype=np.float32) @ self._basis
        return turned

    def images(self, species: Species, random: np.random.Generator) -> Matrix:
        """Photos, (n, dim) float32."""
        spread = self._offsets(len(species), random) * np.float32(_IMAGE)
        return unit(self._cone * np.float32(_CONE) + self._centres[species] + spread)

    def image_queries(self, species: Species, random: np.random.Generator) -> Matrix:
        """Photos that no index ever saw, a little disturbed, (n, dim) float32."""
        held_out = self.images(species, random)
        return unit(held_out + self._offsets(len(species), random) * np.float32(_DISTURBANCE))

    def text_queries(self, species: Species, random: np.random.Generator) -> Matrix:
        """Texts: near another cone, which is the modality gap."""
        meaning: Matrix = self._centres[species] + self._offsets(len(species), random) * np.float32(
            _TEXT
        )
        return unit(self._gap * np.float32(0.9) + meaning * np.float32(0.5))


class RealImages(NamedTuple):
    """Real vectors with their taxa, sorted by species: those of species i are one run.

    `vectors` (n, dim) float32, unit; `first` (species + 1,) int64 where each species begins.
    """

    lineages: Lineages
    vectors: Matrix
    first: npt.NDArray[np.int64]


class RealCloud:
    """Real image vectors, each resampled with noise of the covariance that they have together."""

    def __init__(self, real: RealImages, random: np.random.Generator) -> None:
        """`real` holds at least one vector of every species."""
        self._real = real
        self._mean = real.vectors.mean(axis=0)
        spread = real.vectors - self._mean
        # Random sums of these have the covariance of the real vectors.
        self._spread = spread / np.float32(np.sqrt(len(spread)))
        self._gap = unit(random.standard_normal((1, self.dim), np.float32))
        starts = real.first[:-1]
        sums = np.add.reduceat(spread, starts, axis=0)
        self._centres = (sums / np.diff(real.first)[:, None]).astype(np.float32)

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self._real.vectors.shape[1])

    def _offsets(self, count: int, random: np.random.Generator) -> Matrix:
        noise: Matrix = (
            random.standard_normal((count, len(self._spread)), np.float32) @ self._spread
        )
        return noise

    def images(self, species: Species, random: np.random.Generator) -> Matrix:
        """Photos, (n, dim) float32."""
        first = self._real.first
        chosen = random.integers(first[species], first[species + 1])
        noise = self._offsets(len(species), random) * np.float32(np.sqrt(1 - _KEPT**2))
        kept = (self._real.vectors[chosen] - self._mean) * np.float32(_KEPT)
        return unit(self._mean + kept + noise)

    def image_queries(self, species: Species, random: np.random.Generator) -> Matrix:
        """Photos that no index ever saw: resampled once more."""
        return self.images(species, random)

    def text_queries(self, species: Species, random: np.random.Generator) -> Matrix:
        """Texts: near another cone; no real texts are at hand, so the gap is made up."""
        meaning: Matrix = self._centres[species] + self._offsets(len(species), random) * np.float32(
            _TEXT
        )
        return unit(self._gap * np.float32(0.9) + meaning * np.float32(0.5))


def read_real(path: Path) -> RealImages:
    """Read published vectors: columns `emb` and the seven ranks, an empty rank as "".

    A row without a species counts as one of its finest rank.
    """
    table = pq.read_table(path, columns=["emb", *RANKS])
    columns = [pc.fill_null(table[rank].cast("string"), "").to_pylist() for rank in RANKS]
    paths = list(zip(*columns, strict=True))
    order = sorted(range(len(paths)), key=paths.__getitem__)
    flat = pc.list_flatten(table["emb"].combine_chunks()).to_numpy(zero_copy_only=False)
    vectors = unit(flat.astype(np.float32).reshape(len(paths), -1)[order])
    kinds: list[tuple[str, ...]] = []
    first = []
    for position, at in enumerate(order):
        if not kinds or kinds[-1] != paths[at]:
            kinds.append(paths[at])
            first.append(position)
    first.append(len(order))
    nodes = np.empty((len(kinds), len(RANKS)), np.int32)
    names: list[list[str]] = []
    for depth in range(len(RANKS)):
        known: dict[tuple[str, ...], int] = {}
        nodes[:, depth] = [known.setdefault(kind[: depth + 1], len(known)) for kind in kinds]
        names.append([path[-1] for path in known])
    return RealImages(Lineages(nodes, tuple(names)), vectors, np.array(first, np.int64))
