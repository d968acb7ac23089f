"""What a benchmark's question is limited to, and the world on disk that it is tested against.

A condition is neutral: each system says it in its own words, and the truth tests it on arrays.
Rows are known by their number in the world. Read-only once written; safe from any thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.worlds import BLOCK_ROWS, World

VECTORS = "vectors.f16"
COLUMNS = ("uuid", "species", "source", "licence")
SEEN = ("latitude", "longitude", "uncertainty_m", "day", "observer")

Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]


class Condition(NamedTuple):
    """Terms that all have to hold; None does not limit.

    `source` is a number in `worlds.SOURCES`; `taxon` a depth and a node; `box` west, south, east,
    north in degrees, edges included; `month` 1 to 12.
    """

    source: int | None = None
    taxon: tuple[int, int] | None = None
    box: Box | None = None
    month: int | None = None


ANYTHING = Condition()


class WorldOnDisk:
    """A world whose vectors are a file and whose columns are arrays.

    `vectors` (rows, dim) float16, mapped; every array of `columns` is (rows, …).
    """

    def __init__(self, world: World, folder: Path) -> None:
        """Write the world where `folder` is empty, then open it.

        Raises ValueError where the folder holds another world.
        """
        self.world = world
        self.rows, self.dim = world.rows, world.dim
        folder.mkdir(parents=True, exist_ok=True)
        done = folder / "done"
        if not done.exists():
            _write(world, folder)
            done.write_text(world.identity, encoding="utf-8")
        if (held := done.read_text(encoding="utf-8")) != world.identity:
            raise ValueError(f"{folder} holds another world: {held}, not {world.identity}")
        self.vectors: npt.NDArray[np.float16] = np.memmap(
            folder / VECTORS, np.float16, mode="r", shape=(self.rows, self.dim)
        )
        names = (*COLUMNS, *SEEN)
        self.columns = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
        self.month = month_of(self.columns["day"])
        self._members: dict[tuple[int, int], Mask] = {}

    def passes(self, condition: Condition, start: int = 0, stop: int | None = None) -> Mask:
        """Whether each row from `start` to `stop` - 1 meets the condition."""
        part = slice(start, self.rows if stop is None else stop)
        mask = np.ones(len(self.month[part]), bool)
        if condition.source is not None:
            mask &= self.columns["source"][part] == condition.source
        if condition.taxon is not None:
            mask &= self._species_in(condition.taxon)[self.columns["species"][part]]
        if condition.month is not None:
            mask &= self.month[part] == condition.month
        if condition.box is not None:
            west, south, east, north = condition.box
            latitude, longitude = self.columns["latitude"][part], self.columns["longitude"][part]
            mask &= (longitude >= west) & (longitude <= east)
            mask &= (latitude >= south) & (latitude <= north)
        return mask

    def _species_in(self, taxon: tuple[int, int]) -> Mask:
        """Whether each species belongs to a taxon; kept, since many questions ask for it."""
        if taxon not in self._members:
            depth, node = taxon
            self._members[taxon] = self.world.lineages.nodes[:, depth] == node
        return self._members[taxon]


def month_of(day: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """Month, 1 to 12, of days since 1970."""
    months = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    numbers: npt.NDArray[np.int8] = (months % 12 + 1).astype(np.int8)
    return numbers


def _write(world: World, folder: Path) -> None:
    arrays = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", "w+", values.dtype, (world.rows, *values.shape[1:])
        )
        for name, values in _columns_of(world, 0, 1).items()
    }
    with (folder / VECTORS).open("wb") as file:
        for rows in world.chunks(BLOCK_ROWS):
            rows.vectors.tofile(file)
            inside = slice(rows.first_row, rows.first_row + len(rows.species))
            for name in COLUMNS:
                arrays[name][inside] = getattr(rows, name)
            for name in SEEN:
                arrays[name][inside] = getattr(rows.seen, name)
    for array in arrays.values():
        array.flush()


def _columns_of(world: World, start: int, stop: int) -> dict[str, npt.NDArray[np.generic]]:
    rows = world.run(start, stop)
    return {name: getattr(rows, name) for name in COLUMNS} | {
        name: getattr(rows.seen, name) for name in SEEN
    }
