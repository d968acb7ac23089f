"""Seeded synthetic vectors with the traits that make real image embeddings hard to search.

Anisotropic (few directions carry most of the variance), clustered in two levels as species within
families, Zipf-sized, inside a narrow cone. Text-like queries lie off the image cloud, as the text
tower's do. Calibrated on 1,030 published BioCLIP 2 vectors: norm of the mean .77, cosine of random
pairs .58 (median), of the nearest neighbour .67 to .95. Pure functions of the seed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]

_CONE = 0.77
_FAMILY = 0.36
_SPECIES = 0.30
_IMAGE = 0.45
_ROWS_PER_SPECIES = 50
_SPECIES_PER_FAMILY = 12
_CHUNK = 16_384


class Synthetic(NamedTuple):
    """`vectors` (rows, dim) float16, unit; `queries` by kind, (n, dim) float32, unit.

    `cluster` is the species of each row, (rows,) int32.
    """

    vectors: npt.NDArray[np.float16]
    cluster: npt.NDArray[np.int32]
    queries: dict[str, Matrix]


class _Cloud:
    """The distribution that rows and image-like queries are drawn from."""

    def __init__(self, rows: int, dim: int, random: np.random.Generator) -> None:
        species = max(4, rows // _ROWS_PER_SPECIES)
        families = max(2, species // _SPECIES_PER_FAMILY)
        self.scale = spectrum(dim)
        self.basis = random_basis(dim, random)
        self.random = random
        self.cone = unit(random.standard_normal((1, dim), np.float32))
        family = self.offsets(families) * np.float32(_FAMILY)
        centres = family[random.integers(0, families, species)]
        self.centres = centres + self.offsets(species) * np.float32(_SPECIES)
        share = 1.0 / (1.0 + np.arange(species)) ** 0.9
        self.share = share / share.sum()

    def offsets(self, count: int) -> Matrix:
        """Anisotropic offsets of expected length one, (count, dim)."""
        noise = self.random.standard_normal((count, len(self.scale)), np.float32)
        turned: Matrix = np.multiply(noise, self.scale, dtype=np.float32) @ self.basis
        return turned

    def species_of(self, count: int) -> npt.NDArray[np.int32]:
        return self.random.choice(len(self.share), count, p=self.share).astype(np.int32)

    def images(self, species: npt.NDArray[np.int32]) -> Matrix:
        spread = self.offsets(len(species)) * np.float32(_IMAGE)
        return unit(self.cone * np.float32(_CONE) + self.centres[species] + spread)

    def texts(self, species: npt.NDArray[np.int32], gap: Matrix) -> Matrix:
        """Near another cone (the modality gap); the species shows, the single image does not."""
        meaning = self.centres[species] + self.offsets(len(species)) * np.float32(0.3)
        return unit(gap * np.float32(0.9) + meaning * np.float32(0.5))


def unit(vectors: Matrix) -> Matrix:
    """Each row made a unit vector."""
    scaled: Matrix = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def spectrum(dim: int) -> npt.NDArray[np.float32]:
    """Standard deviation of each direction, falling, of norm one, (dim,).

    Variance falls as (1+j)^-.35 e^(-j/110) at 768 dimensions, which fits theirs within a third
    from the second direction to the 500th.
    """
    order = np.arange(dim) * (768.0 / dim)
    deviations = (1.0 + order) ** -0.175 * np.exp(-order / 220.0)
    scaled: npt.NDArray[np.float32] = (deviations / np.linalg.norm(deviations)).astype(np.float32)
    return scaled


def random_basis(dim: int, random: np.random.Generator) -> Matrix:
    """A random rotation, (dim, dim), so that no coordinate is special to a product quantiser."""
    basis: Matrix = np.linalg.qr(random.standard_normal((dim, dim)))[0].astype(np.float32)
    return basis


def synthetic(rows: int, dim: int, *, seed: int, queries: int) -> Synthetic:
    """Rows and `queries` queries of each kind (`image`, `text`); equal seeds give equal bytes."""
    random = np.random.default_rng(seed)
    cloud = _Cloud(rows, dim, random)
    cluster = np.sort(cloud.species_of(rows))
    vectors = np.empty((rows, dim), np.float16)
    for start in range(0, rows, _CHUNK):
        vectors[start : start + _CHUNK] = cloud.images(cluster[start : start + _CHUNK])
    # Photos that the index never saw, of the same species, each a little disturbed.
    held_out = cloud.images(cloud.species_of(queries))
    image = unit(held_out + cloud.offsets(queries) * np.float32(0.15))
    direction = unit(random.standard_normal((1, dim), np.float32))
    text = cloud.texts(cloud.species_of(queries), direction)
    return Synthetic(vectors, cluster, {"image": image, "text": text})
