"""Lists and codes through torch are those that FAISS computes, on any device."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
import torch

from atlas.search.centroids import find_centroids
from atlas.search.index import encode_segment, encode_through_torch, train
from atlas.search.lists import Centroids, Lists
from atlas.search.selection import Selection
from atlas.search.torch_codes import TorchNearest, choose_device, fits
from atlas.search.vectors import unit_vectors
from tests.bundle_factory import random_vectors

ROWS = 5_000
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here"),
        ],
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("factory", ["OPQ8,IVF32,PQ8", "IVF32,PQ8", "OPQ8,IVF32_HNSW32,PQ8"])
def test_lists_and_codes_are_those_of_faiss(factory: str, device: str) -> None:
    """A bundle encoded on a GPU is searched on processors: other codes would mean other rows."""
    vectors = random_vectors(ROWS, 32, seed=1)
    trained = train(vectors, factory, seed=3)
    assert fits(trained)
    usual, usual_numbers = encode_segment(trained, vectors)
    through_torch, numbers = encode_through_torch(trained, vectors, device)
    assert through_torch.ntotal == usual.ntotal == ROWS
    # Rows between two centroids may go either way within rounding; there are next to none.
    assert (numbers == usual_numbers).mean() > 0.999
    same = numbers == usual_numbers
    assert (_codes_by_row(through_torch) == _codes_by_row(usual))[same].mean() > 0.999
    lists = Lists(through_torch, Centroids(through_torch))
    rotated = lists.centroids.rotated(unit_vectors(vectors[:1])[0])
    chosen = lists.centroids.nearest(rotated, 32)
    found = lists.candidates(rotated, chosen, ROWS, Selection.everything(ROWS))
    assert sorted(found.tolist()) == list(range(ROWS))


def _codes_by_row(index: faiss.Index) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The code of every row, (rows, bytes)."""
    ivf = faiss.downcast_index(faiss.extract_index_ivf(index))
    codes = np.zeros((index.ntotal, ivf.code_size), np.uint8)
    for number in range(ivf.nlist):
        size = ivf.invlists.list_size(number)
        if size:
            ids = faiss.rev_swig_ptr(ivf.invlists.get_ids(number), size)
            held = faiss.rev_swig_ptr(ivf.invlists.get_codes(number), size * ivf.code_size)
            codes[ids] = held.reshape(size, -1)
    return codes


@pytest.mark.parametrize("device", DEVICES)
def test_nearest_is_the_greatest_product(device: str) -> None:
    """Lists found by another rule than rows are put into would leave rows where nobody looks."""
    vectors = unit_vectors(random_vectors(300, 16, seed=1))
    centroids = unit_vectors(random_vectors(40, 16, seed=2))
    found = TorchNearest(centroids, device).find(vectors)
    assert found.tolist() == (vectors @ centroids.T).argmax(axis=1).tolist()


def test_lists_are_found_alike_with_and_without_torch() -> None:
    """The same sample and seed lead to the same lists wherever they are found."""
    sample = random_vectors(2_000, 16, seed=1)
    usual = find_centroids(sample, 20, 5)
    # Any name but "cpu" takes the way of a GPU; torch reads this one as its first processor.
    through_torch = find_centroids(sample, 20, 5, "cpu:0")
    assert np.allclose(usual, through_torch, atol=1e-5)


@pytest.mark.parametrize("factory", ["IVF16,Flat", "IVF16,RaBitQ", "IVF64(SQ8),PQ8", "IVF16,PQ8x4"])
def test_other_kinds_are_left_to_faiss(factory: str) -> None:
    """A kind that torch does not know must be encoded all the same."""
    vectors = random_vectors(3_000, 32, seed=1)
    trained = train(vectors, factory)
    assert not fits(trained)
    index, numbers = encode_segment(trained, vectors, device="cpu:0")
    assert index.ntotal == len(numbers) == 3_000


def test_a_device_that_is_not_here_is_refused() -> None:
    """A build that was planned for a GPU must not crawl on a processor unnoticed."""
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="sees no device"):
            choose_device("cuda:1")
