"""The approximate index of a space: its kind, its training, its content.

Pure functions on FAISS objects, used by the builder and the server alike. Training and encoding
belong to one caller; `atlas.search.lists` searches.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import faiss
import numpy as np
import numpy.typing as npt

from atlas.search.centroids import Nearest, centroids_of, find_centroids, holds_centroids
from atlas.search.vectors import Vectors

EXACT = "exact"
AUTO = "auto"
# How the nearest lists of a query are found: all compared, and through groups from many lists on,
# or through a graph over their centroids.
Coarse = Literal["groups", "hnsw"]
GROUPS: Coarse = "groups"
HNSW: Coarse = "hnsw"
_GRAPH = "_HNSW32"

# Below this many points a list, k-means warns and the lists become arbitrary (FAISS's own bound).
_TRAINING_ROWS_PER_LIST = 39
_MOST_LISTS = 65_536
_CODE_BYTES = 96
# OPQ alternates between rotating and quantising, 3 s a round at 16,384 x 768 on one core; FAISS's
# own 50 rounds on 65,536 rows take a quarter of an hour and gain nothing after re-ranking.
_OPQ_ROUNDS = 4
_OPQ_TRAINING_ROWS = 16_384
# Points a centroid that a codebook of 256 is trained on; FAISS's 256 cost four times the time.
_POINTS_PER_CODE = 64
_ENCODE_ROWS = 8_192
_LEAST_TRAINING_ROWS = 65_536


def lists_for(rows: int) -> int:
    """Inverted lists for `rows` rows: the power of two nearest to 4 sqrt(rows), trainable."""
    wanted = round(math.log2(4.0 * math.sqrt(max(rows, 1))))
    trainable = int(math.log2(max(1, rows // _TRAINING_ROWS_PER_LIST)))
    return min(1 << min(wanted, trainable), _MOST_LISTS)


def codes_for(dim: int) -> str | None:
    """The pattern `OPQ…,IVF{n},PQ…` with a code of about 96 bytes; None when `dim` is too small.

    The number of sub-vectors must divide the dimension that OPQ puts out. It is the divisor of
    `dim` nearest to 96 that leaves at least four numbers each; where a dimension has no fitting
    divisor, OPQ drops the few last dimensions instead.
    """
    if dim < 4:
        return None
    most = dim // 4
    divisors = [m for m in range(1, most + 1) if dim % m == 0]
    nearest = min(divisors, key=lambda m: (abs(m - _CODE_BYTES), -m))
    wanted = min(_CODE_BYTES, most)
    if 2 * nearest >= wanted:
        return f"OPQ{nearest},IVF{{n}},PQ{nearest}"
    return f"OPQ{wanted}_{dim // wanted * wanted},IVF{{n}},PQ{wanted}"


def factory_for(
    rows: int,
    dim: int,
    requested: str = AUTO,
    exact_below: int = 100_000,
    coarse: Coarse = GROUPS,
) -> str | None:
    """FAISS factory string for a space of `rows` rows, or None for exact search only.

    `requested` is `auto`, `exact`, or a factory string in which `{n}` stands for the number of
    lists. Below `exact_below` rows every space is exact: the scan takes milliseconds. `coarse` says
    how lists are found, where the string does not name a graph by itself.
    Raises ValueError when a requested string is not an inverted-file index of this dimension.
    """
    pattern = codes_for(dim) if requested == AUTO else requested
    if requested == EXACT or pattern is None or rows < exact_below:
        return None
    if coarse == HNSW:
        pattern = _with_graph(pattern)
    factory = pattern.replace("{n}", str(lists_for(rows)))
    _new_index(factory, dim)
    return factory


def _with_graph(pattern: str) -> str:
    """The pattern with a graph over its centroids; ValueError where it names another way."""
    named = re.sub(r"(IVF(?:\{n\}|\d+))(?=,|$)", rf"\1{_GRAPH}", pattern)
    if "_HNSW" not in named:
        raise ValueError(f"{pattern!r} names how lists are found by itself; that is no graph")
    return named


def _new_index(factory: str, dim: int) -> faiss.Index:
    try:
        index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
        faiss.extract_index_ivf(index)
    except RuntimeError as error:
        raise ValueError(
            f"{factory!r} is not an inverted-file index for {dim} dimensions"
        ) from error
    return index


def list_count(index: faiss.Index) -> int:
    """Number of inverted lists."""
    return int(faiss.extract_index_ivf(index).nlist)


def training_rows(factory: str) -> int:
    """How many vectors `train` makes use of; a larger sample is only slower."""
    lists = re.search(r"IVF(\d+)", factory)
    per_lists = _TRAINING_ROWS_PER_LIST * int(lists[1]) if lists else 0
    return max(_LEAST_TRAINING_ROWS, per_lists)


def train(
    sample: npt.NDArray[np.floating], factory: str, *, seed: int = 0, device: str = "cpu"
) -> faiss.Index:
    """Train an empty inner-product index on `sample`, (n, dim), unit vectors, any float type.

    Rotation, lists and codec are learnt once and shared by all segments. The same sample, factory
    and seed give the same index on the same `device` (`cpu` or torch's name of a GPU, which finds
    the lists). Raises ValueError when the sample is too small to train on.
    """
    rows, dim = sample.shape
    index = _new_index(factory, dim)
    lists = list_count(index)
    if rows < max(lists, 256):
        raise ValueError(f"{factory} needs at least {max(lists, 256)} vectors; {rows} are given")
    limit = training_rows(factory)
    if rows > limit:
        chosen = np.random.default_rng(seed).choice(rows, limit, replace=False)
        sample = sample[np.sort(chosen)]
    _prepare(index, seed)
    ivf = faiss.downcast_index(faiss.extract_index_ivf(index))
    if not _takes_lists(ivf):
        index.train(np.ascontiguousarray(sample, np.float32))
        return index
    # Rotation and codes are learnt from few rows; only the lists need the whole sample, which is
    # kept in half precision and made float32 a block at a time.
    rows = len(sample)
    few = np.random.default_rng(seed).choice(rows, min(rows, _LEAST_TRAINING_ROWS), replace=False)
    for transform in _transforms(index):
        if not transform.is_trained:
            with _one_thread():
                transform.train(np.ascontiguousarray(sample[np.sort(few)], np.float32))
        sample = _transformed(transform, sample)
    centroids = find_centroids(sample, lists, seed, device)
    with _one_thread():
        # A graph that several threads grow is another one each time.
        ivf.quantizer.add(centroids)
        ivf.train(np.ascontiguousarray(sample[np.sort(few)], np.float32))
    index.is_trained = True
    return index


@contextmanager
def _one_thread() -> Iterator[None]:
    """Train codebooks on one thread: they meet at a barrier forty thousand times.

    On a machine that does other work too, each barrier waits for a thread that is not running, and
    seconds become ten minutes.
    """
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _takes_lists(ivf: faiss.IndexIVF) -> bool:
    """Whether rows may be put into lists of our own choosing: others train and add by themselves.

    FastScan's lists are not among them: its `add_core` corrupts the heap (FAISS 1.15).
    """
    is_plain = type(ivf) in {faiss.IndexIVFPQ, faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer}
    return is_plain and holds_centroids(ivf)


def _transforms(index: faiss.Index) -> list[faiss.VectorTransform]:
    if not isinstance(index, faiss.IndexPreTransform):
        return []
    chain = index.chain
    return [faiss.downcast_VectorTransform(chain.at(i)) for i in range(chain.size())]


def transformed(index: faiss.Index, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Vectors, (n, dim), in the space of the index's codes, (n, dim of the codes)."""
    turned = np.ascontiguousarray(vectors, np.float32)
    for transform in _transforms(index):
        turned = transform.apply(turned)
    return turned


def _transformed(
    transform: faiss.VectorTransform, vectors: npt.NDArray[np.floating]
) -> npt.NDArray[np.float16]:
    """Vectors after a transform, in half precision."""
    out = np.empty((len(vectors), transform.d_out), np.float16)
    for start in range(0, len(vectors), _ENCODE_ROWS):
        block = np.ascontiguousarray(vectors[start : start + _ENCODE_ROWS], np.float32)
        out[start : start + len(block)] = transform.apply(block)
    return out


def _prepare(index: faiss.Index, seed: int) -> None:
    """Bound the work of training and seed every k-means inside; OPQ's own start is fixed."""
    for transform in _transforms(index):
        if isinstance(transform, faiss.OPQMatrix):
            transform.niter = _OPQ_ROUNDS
            transform.max_train_points = _OPQ_TRAINING_ROWS
    ivf = faiss.downcast_index(faiss.extract_index_ivf(index))
    ivf.cp.seed = seed + 1
    if isinstance(ivf, faiss.IndexIVFPQ):
        ivf.pq.cp.seed = seed + 1
        ivf.pq.cp.max_points_per_centroid = _POINTS_PER_CODE
        # Reorders codes for a Hamming prefilter that is not used here; two thirds of the time.
        ivf.do_polysemous_training = False


def encode_segment(
    trained: faiss.Index,
    vectors: Vectors,
    *,
    device: str = "cpu",
    progress: Callable[[int], None] = lambda _rows: None,
) -> tuple[faiss.Index, npt.NDArray[np.int32]]:
    """Fill a copy of `trained` with a segment's vectors, (rows, dim) float16.

    Returns the index, whose ids are positions in the segment, and for each position the number
    of its inverted list, (rows,) int32. A GPU as `device` is used where it knows the kind of index.
    `progress` is told rows as they are encoded.
    """
    if device != "cpu":
        # Torch takes seconds to load, which neither maps nor a search on the processor need.
        from atlas.search import torch_codes  # noqa: PLC0415 - slow

        if torch_codes.fits(trained):
            return encode_through_torch(trained, vectors, device, progress)
    index = faiss.clone_index(trained)
    ivf = faiss.downcast_index(faiss.extract_index_ivf(index))
    nearest = Nearest(centroids_of(ivf), 0) if _takes_lists(ivf) else None
    for start in range(0, len(vectors), _ENCODE_ROWS):
        block = np.ascontiguousarray(vectors[start : start + _ENCODE_ROWS], np.float32)
        rows = len(block)
        if nearest is None:
            index.add(block)
            progress(rows)
            continue
        for transform in _transforms(index):
            block = transform.apply(block)
        numbers = nearest.find(block)
        ids = np.arange(start, start + len(block))
        pointers = (faiss.swig_ptr(array) for array in (block, ids, numbers))
        ivf.add_core(len(block), *pointers)
        progress(rows)
    index.ntotal = ivf.ntotal
    lists = ivf.invlists
    list_numbers = np.full(len(vectors), -1, np.int32)
    for number in range(lists.nlist):
        size = lists.list_size(number)
        if size:
            held = faiss.rev_swig_ptr(lists.get_ids(number), size)
            list_numbers[held] = number
    return index, list_numbers


def encode_through_torch(
    trained: faiss.Index,
    vectors: Vectors,
    device: str,
    progress: Callable[[int], None] = lambda _rows: None,
) -> tuple[faiss.Index, npt.NDArray[np.int32]]:
    """The same as `encode_segment`, computed by torch on `device`."""
    from atlas.search import torch_codes  # noqa: PLC0415 - slow

    rows = torch_codes.TorchCodes(trained, device)
    index = faiss.clone_index(trained)
    code_bytes = int(faiss.extract_index_ivf(index).code_size)
    numbers = np.empty(len(vectors), np.int64)
    codes = np.empty((len(vectors), code_bytes), np.uint8)
    step = torch_codes.rows_at_once(device)
    for start in range(0, len(vectors), step):
        stop = min(start + step, len(vectors))
        numbers[start:stop], codes[start:stop] = rows.encode(vectors[start:stop])
        progress(stop - start)
    torch_codes.fill(index, numbers, codes)
    return index, numbers.astype(np.int32)


def write_index(index: faiss.Index, path: Path) -> None:
    """Write an index, trained or filled, to `path`; OSError where it does not fit."""
    with path.open("wb") as file:
        append_index(index, file)


def append_index(index: faiss.Index, file: BinaryIO) -> None:
    """Write an index to a file that is open, front to back; OSError where it does not fit.

    FAISS's own files lose their last bytes on a full disk and say so on the terminal only.
    """
    faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))


def read_index(path: Path) -> faiss.Index:
    """Read an index; inverted lists stay on disk and are mapped. RuntimeError when damaged."""
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)


def default_probes(lists: int) -> int:
    """Lists to probe where no measured curve says better: a sixteenth, at least 16, at most 256."""
    return min(lists, max(16, min(lists // 16, 256)))
