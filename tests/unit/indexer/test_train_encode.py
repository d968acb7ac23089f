"""The train and encode stages: the same vectors give the same index; positions are ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from atlas.bundle.segment import index_name, list_numbers_name, vectors_name
from atlas.search.index import read_index
from indexer.sampling import taxon_sample
from indexer.stages.encode import encode_rows
from indexer.stages.train import train_space
from tests.bundle_factory import random_vectors

SPACE = "small"
ROWS, DIM = 700, 8
TAXA = (300, 250, 100, 50)
FACTORY = "OPQ4,IVF8,PQ4x4"
VECTORS = random_vectors(ROWS, DIM, 9)


def write_segments(root: Path, sizes: Sequence[int]) -> list[tuple[Path, int]]:
    """`VECTORS` in segments of these sizes; returns each file and its rows."""
    files = []
    first = 0
    for i, rows in enumerate(sizes):
        folder = root / f"{i:04d}"
        folder.mkdir(parents=True)
        VECTORS[first : first + rows].tofile(folder / vectors_name(SPACE))
        files.append((folder / vectors_name(SPACE), rows))
        first += rows
    return files


def trained(
    root: Path, sizes: Sequence[int], name: str, *, seed: int = 3, wanted: int | None = 400
) -> bytes:
    """The bytes of an index trained on segments of these sizes."""
    folder = root / name
    path = folder / "coarse.faiss"
    files = write_segments(folder, sizes)
    chosen = taxon_sample(np.array(TAXA), wanted or ROWS, ROWS, seed)
    train_space(files, DIM, FACTORY, path, chosen=chosen, seed=seed, device="cpu")
    return path.read_bytes()


def test_the_same_sample_gives_the_same_bytes(tmp_path: Path) -> None:
    """Would break: a build that was resumed has another index than one that was not."""
    first = trained(tmp_path, [ROWS], "first")
    assert trained(tmp_path, [ROWS], "again") == first
    assert trained(tmp_path, [ROWS], "seed", seed=4) != first


@pytest.mark.parametrize("sizes", [(350, 350), (1, 0, 699), (699, 1)])
def test_the_sample_is_drawn_over_all_segments(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    """Would break: an index that is trained on the first segment only, which is one kingdom."""
    assert trained(tmp_path, sizes, "cut") == trained(tmp_path, [ROWS], "whole")


def test_a_trained_index_is_left_alone(tmp_path: Path) -> None:
    """Would break: a resumed build trains again under segments that are encoded already."""
    path = tmp_path / "coarse.faiss"
    path.write_bytes(b"trained before")
    train_space([], DIM, FACTORY, path, chosen=np.arange(0), seed=0, device="cpu")
    assert path.read_bytes() == b"trained before"


def test_too_few_rows_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    """Would break: lists are trained on noise, or half an index is left to be trusted."""
    with pytest.raises(ValueError, match="needs at least 256 vectors; 100 are given"):
        trained(tmp_path, [ROWS], "few", wanted=100)
    assert not list(tmp_path.rglob("*coarse*"))


@pytest.fixture
def encoded(tmp_path: Path) -> tuple[Path, Path]:
    """An encoded segment's folder and the trained index."""
    path = tmp_path / "coarse.faiss"
    ((file, _),) = write_segments(tmp_path, [ROWS])
    every = np.arange(ROWS)
    train_space([(file, ROWS)], DIM, FACTORY, path, chosen=every, seed=1, device="cpu")
    encode_rows(file.parent, SPACE, ROWS, DIM, path, device="cpu")
    return file.parent, path


def list_numbers(folder: Path) -> npt.NDArray[np.int32]:
    """The list of each position, as the format says."""
    return np.fromfile(folder / list_numbers_name(SPACE), "<i4")


def test_ids_are_positions_and_list_numbers_are_theirs(encoded: tuple[Path, Path]) -> None:
    """Would break: a hit of the index is another photo, or probing by list misses rows."""
    folder, _ = encoded
    index = read_index(folder / index_name(SPACE))
    lists = faiss.extract_index_ivf(index).invlists
    numbers = list_numbers(folder)
    assert numbers.shape == (ROWS,)
    held: list[int] = []
    for number in range(lists.nlist):
        size = lists.list_size(number)
        if size:
            ids = faiss.rev_swig_ptr(lists.get_ids(number), size).tolist()
            assert ids == sorted(ids)
            assert set(numbers[ids].tolist()) == {number}
            held += ids
    assert sorted(held) == list(range(ROWS))


def test_each_row_is_in_the_list_of_its_nearest_centre(encoded: tuple[Path, Path]) -> None:
    """Would break: probing the nearest lists of a query misses its nearest rows."""
    folder, path = encoded
    index = faiss.read_index(str(path))
    ivf = faiss.extract_index_ivf(index)
    centres = faiss.downcast_index(ivf.quantizer).reconstruct_n(0, ivf.nlist)
    turned = index.chain.at(0).apply(VECTORS.astype(np.float32))
    scores = turned.astype(np.float64) @ centres.astype(np.float64).T
    own = scores[np.arange(ROWS), list_numbers(folder)]
    assert np.all(own >= scores.max(axis=1) - 1e-5)


def test_encoding_repeats_and_is_not_redone(encoded: tuple[Path, Path]) -> None:
    """Would break: a resumed build differs, or encodes a finished segment once more."""
    folder, path = encoded
    names = (index_name(SPACE), list_numbers_name(SPACE))
    before = [(folder / name).read_bytes() for name in names]
    written = [(folder / name).stat().st_mtime_ns for name in names]
    encode_rows(folder, SPACE, ROWS, DIM, path, device="cpu")
    assert [(folder / name).stat().st_mtime_ns for name in names] == written
    (folder / names[1]).unlink()
    encode_rows(folder, SPACE, ROWS, DIM, path, device="cpu")
    assert [(folder / name).read_bytes() for name in names] == before
