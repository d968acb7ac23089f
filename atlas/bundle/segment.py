"""One immutable shard of a bundle, opened for reading.

Vectors are memory-mapped, pictures are read by offset; both are safe from any thread. Knows the
file layout, not what a search does with it.
"""

from __future__ import annotations

import mmap
from functools import cached_property
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from atlas.bundle.manifest import SegmentEntry
from atlas.bundle.mapped import map_numbers
from atlas.errors import BundleError
from atlas.geo.place_order import PlaceOrder

ROWS = "rows.parquet"
TOMBSTONES = "tombstones.roar"
PICTURES = "pictures.bin"
PICTURE_OFFSETS = "pictures.offsets"
HOSTED_MEDIA_TYPE = "image/jpeg"


def vectors_name(space: str) -> str:
    """File of row-ordered float16 unit vectors."""
    return f"{space}.f16"


def index_name(space: str) -> str:
    """File of inverted lists; absent where a segment is searched exactly."""
    return f"{space}.ivf"


def list_numbers_name(space: str) -> str:
    """File of int32, one a row: the inverted list that the row is in."""
    return f"{space}.list_no"


def read_tombstones(path: Path) -> BitMap:
    """Positions of the removed rows of a segment; BundleError when the file cannot be read."""
    try:
        return BitMap.deserialize(path.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(path, "this file is missing") from error
    except (ValueError, IndexError) as error:  # an empty file is an IndexError
        raise BundleError(path, "this row set cannot be read") from error


class Segment:
    """A shard: `rows` rows from `first_row`; position p of its files is row `first_row + p`."""

    def __init__(self, folder: Path, entry: SegmentEntry, dims: dict[str, int]) -> None:
        """Open the files of `folder`; `dims` gives each space's dimension.

        Raises BundleError naming the file that is missing or has the wrong size.
        """
        self.name = entry.name
        self.first_row = entry.first_row
        self.rows = entry.rows
        self._folder = folder
        self._vectors = {space: self._map_vectors(space, dim) for space, dim in dims.items()}
        self._indexes = {space: self._open_index(space) for space in dims}
        # Mapped anew, every page of it that a filter touches costs a fault: 5 ms at 10M rows.
        self._list_numbers: dict[str, npt.NDArray[np.int32]] = {}
        self.tombstones = read_tombstones(folder / entry.tombstones)
        self._offsets, self._pictures = self._map_pictures(entry.hosts_pictures)

    def vectors(self, space: str) -> npt.NDArray[np.float16]:
        """Unit vectors, shape (rows, dim), float16, memory-mapped read-only."""
        return self._vectors[space]

    def index(self, space: str) -> faiss.Index | None:
        """The inverted lists (ids are positions), or None where the segment is searched exactly.

        Never set a parameter on it: pass SearchParameters in the call.
        """
        return self._indexes[space]

    def list_numbers(self, space: str) -> npt.NDArray[np.int32]:
        """Inverted list of each position, shape (rows,), int32; empty without an index.

        Two threads that ask for the first time at once may both map it.
        """
        if self._indexes[space] is None:
            return np.empty(0, np.int32)
        kept = self._list_numbers.get(space)
        if kept is None:
            path = self._folder / list_numbers_name(space)
            kept = self._list_numbers[space] = map_numbers(path, np.int32, self.rows)
        return kept

    @cached_property
    def place_order(self) -> PlaceOrder | None:
        """The located rows by their places; None for a segment made before these were in order."""
        return PlaceOrder.open(self._folder)

    def picture(self, position: int) -> tuple[bytes, str] | None:
        """The hosted picture's bytes and media type; None where the bundle holds none."""
        if self._pictures is None:
            return None
        start, end = int(self._offsets[position]), int(self._offsets[position + 1])
        if start == end:
            return None
        return bytes(self._pictures[start:end]), HOSTED_MEDIA_TYPE

    def _map_vectors(self, space: str, dim: int) -> npt.NDArray[np.float16]:
        numbers = map_numbers(self._folder / vectors_name(space), np.float16, self.rows * dim)
        return numbers.reshape(self.rows, dim)

    def _open_index(self, space: str) -> faiss.Index | None:
        path = self._folder / index_name(space)
        if not path.exists():
            return None
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        except RuntimeError as error:
            raise BundleError(path, "this index cannot be read") from error
        if index.ntotal != self.rows:
            raise BundleError(path, f"holds {index.ntotal} vectors where {self.rows} belong")
        return index

    def _map_pictures(self, hosts: bool) -> tuple[npt.NDArray[np.int64], mmap.mmap | None]:
        if not hosts:
            return np.empty(0, np.int64), None
        offsets = map_numbers(self._folder / PICTURE_OFFSETS, np.int64, self.rows + 1)
        path = self._folder / PICTURES
        try:
            with path.open("rb") as file:
                if path.stat().st_size != int(offsets[-1]):
                    raise BundleError(path, "does not end where its offsets end")
                if offsets[-1] == 0:  # no licence here allows a copy; an empty file has no map
                    return offsets, None
                return offsets, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise BundleError(path, "this file is missing") from error
