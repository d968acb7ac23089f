"""Lists and codes of an IVF-PQ index through torch: on a GPU, as products of matrices.

Assigning a row to 16,384 lists of 768 dimensions takes 25 MFLOP and its 96-byte code 0.4 MFLOP: 2.5
PFLOP for 100 M rows, an hour of many processors or a minute or two of a GPU, which is then
bound by reading 154 GB of vectors. The lists and codes are those that FAISS computes, but for rows
that lie equally near to two centroids within float32's rounding. One caller.
"""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt
import torch

from atlas.search.centroids import holds_centroids

Numbers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float32]

# Products with all codebooks take rows x 96 x 256 floats: 0.4 GB on a processor, 6.4 GB on a GPU.
_ROWS_ON_CPU = 4_096
_ROWS_ON_GPU = 65_536


def choose_device(wanted: str) -> str:
    """`auto` is the first CUDA GPU where there is one, else the processor.

    ValueError where the device that is wanted is not here.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"torch sees no device {wanted!r} here; take auto or cpu")
    return wanted


def rows_at_once(device: str) -> int:
    """How many rows a block has on a device."""
    return _ROWS_ON_GPU if device.startswith("cuda") else _ROWS_ON_CPU


class TorchNearest:
    """Finds for each vector the centroid of the greatest inner product, comparing with all."""

    def __init__(self, centroids: Matrix, device: str) -> None:
        """Keep `centroids`, (lists, dim), on the device."""
        self._device = device
        self._centroids = torch.from_numpy(np.ascontiguousarray(centroids)).to(device)

    def find(self, vectors: Matrix) -> Numbers:
        """Number of the centroid of each of `vectors`, (n, dim) -> (n,)."""
        block = torch.from_numpy(np.ascontiguousarray(vectors)).to(self._device)
        return self.numbers(block).cpu().numpy()

    def numbers(self, vectors: torch.Tensor) -> torch.Tensor:
        """The same for vectors that are on the device, float32."""
        return (vectors @ self._centroids.T).argmax(dim=1)

    def middles(self, numbers: torch.Tensor) -> torch.Tensor:
        """The centroids of these numbers, (n, dim)."""
        return self._centroids[numbers]


class TorchCodes:
    """Computes list and code of rows for one trained index."""

    def __init__(self, index: faiss.Index, device: str) -> None:
        """Copy rotation, centroids and codebooks to the device; `fits(index)` must hold."""
        ivf = faiss.downcast_index(faiss.extract_index_ivf(index))
        pq = ivf.pq
        books = faiss.vector_to_array(pq.centroids).reshape(pq.M, pq.ksub, pq.dsub)
        self._device = device
        self._by_residual = bool(ivf.by_residual)
        self._turns = [
            (self._tensor(matrix), self._tensor(bias)) for matrix, bias in _linear(index)
        ]
        self._nearest = TorchNearest(ivf.quantizer.reconstruct_n(0, ivf.nlist), device)
        self._books = self._tensor(books).transpose(1, 2).contiguous()  # (M, dsub, ksub)
        self._half_norms = 0.5 * self._books.square().sum(dim=1)  # (M, ksub)

    def _tensor(self, array: Matrix) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self._device)

    def encode(self, vectors: npt.NDArray[np.float16]) -> tuple[Numbers, Codes]:
        """Lists, (n,), and codes, (n, M), of vectors, (n, dim) float16."""
        block = torch.from_numpy(np.ascontiguousarray(vectors)).to(self._device).float()
        for matrix, bias in self._turns:
            block = block @ matrix.T + bias
        numbers = self._nearest.numbers(block)
        if self._by_residual:
            block = block - self._nearest.middles(numbers)
        # The nearest word of a codebook: greatest product less half the word's square.
        parts = block.view(len(block), len(self._books), -1).transpose(0, 1)
        scores = torch.baddbmm(self._half_norms[:, None, :], parts, self._books, beta=-1.0)
        codes = scores.argmax(dim=2).transpose(0, 1).to(torch.uint8).contiguous()
        return numbers.cpu().numpy(), codes.cpu().numpy()


def fits(index: faiss.Index) -> bool:
    """Whether `TorchCodes` knows this kind: linear transforms, known lists, PQ of eight bits."""
    ivf = faiss.downcast_index(faiss.extract_index_ivf(index))
    return (
        type(ivf) is faiss.IndexIVFPQ
        and ivf.pq.nbits == 8
        and holds_centroids(ivf)
        and all(isinstance(transform, faiss.LinearTransform) for transform in _chain(index))
    )


def fill(index: faiss.Index, numbers: Numbers, codes: Codes) -> None:
    """Put rows into the lists of an empty index: row i with `codes[i]` into list `numbers[i]`.

    Ids are the rows' numbers; they rise within every list.
    """
    ivf = faiss.downcast_index(faiss.extract_index_ivf(index))
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(ivf.nlist + 1))
    for number in range(ivf.nlist):
        own = np.ascontiguousarray(order[bounds[number] : bounds[number + 1]], np.int64)
        if len(own):
            held = np.ascontiguousarray(codes[own])
            ivf.invlists.add_entries(number, len(own), faiss.swig_ptr(own), faiss.swig_ptr(held))
    ivf.ntotal = index.ntotal = len(numbers)


def _chain(index: faiss.Index) -> list[faiss.VectorTransform]:
    if not isinstance(index, faiss.IndexPreTransform):
        return []
    return [faiss.downcast_VectorTransform(index.chain.at(i)) for i in range(index.chain.size())]


def _linear(index: faiss.Index) -> list[tuple[Matrix, Matrix]]:
    """Matrix, (out, in), and bias, (out,), of each transform before the lists."""
    found = []
    for transform in _chain(index):
        matrix = faiss.vector_to_array(transform.A).reshape(transform.d_out, transform.d_in)
        bias = faiss.vector_to_array(transform.b)
        found.append((matrix, bias if len(bias) else np.zeros(transform.d_out, np.float32)))
    return found
