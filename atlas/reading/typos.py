"""Finds the key that is one typing error from a word, among millions, in microseconds.

One error leaves either the first or the second half of a key as it was (pigeonhole principle), so
keys are found by hashes of their halves and then compared. Immutable: safe from any thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rapidfuzz.distance import OSA

# Nearly every shorter word is one error away from some name.
SHORTEST = 7
# A half that so many keys share says too little: "northern …".
MOST_COMPARED = 500


class TypoIndex:
    """Keys of at least `SHORTEST` letters by their halves."""

    def __init__(self, keys: Sequence[str]) -> None:
        kept = list({key: None for key in keys if len(key) >= SHORTEST})
        self._keys = pa.array(kept, pa.string())
        halves = np.fromiter(_halves(kept), np.int64, 2 * len(kept))
        order = np.argsort(halves, kind="stable")
        self._halves: npt.NDArray[np.int64] = halves[order]
        self._key_of = (order // 2).astype(np.int32)

    def near(self, word: str) -> str | None:
        """The only key at one insertion, deletion, change or exchange of letters; None else."""
        if len(word) < SHORTEST:
            return None
        wanted: set[int] = set()
        for length in (len(word) - 1, len(word), len(word) + 1):
            cut = length // 2
            wanted.add(hash(word[:cut]) + length)
            wanted.add(hash(word[len(word) - (length - cut) :]) - length)
        cut = len(word) // 2
        # An exchange across the cut leaves neither half.
        wanted.add(hash(word[: cut - 1] + word[cut]) + len(word))
        sought = np.fromiter(map(_wrapped, wanted), np.int64, len(wanted))
        low = np.searchsorted(self._halves, sought, "left")
        high = np.searchsorted(self._halves, sought, "right")
        runs = [
            self._key_of[first:last]
            for first, last in zip(low.tolist(), high.tolist(), strict=True)
            if 0 < last - first <= MOST_COMPARED
        ]
        if not runs:
            return None
        keys = self._keys.take(pa.array(np.unique(np.concatenate(runs)))).to_pylist()
        near = [key for key in keys if OSA.distance(word, key, score_cutoff=1) == 1]
        return near[0] if len(near) == 1 else None


def _halves(keys: Sequence[str]) -> Iterator[int]:
    """Hashes of the first and second half of each key, in which its length has a part."""
    for key in keys:
        length = len(key)
        cut = length // 2
        yield _wrapped(hash(key[:cut]) + length)
        yield _wrapped(hash(key[cut:]) - length)


def _wrapped(number: int) -> int:
    """The number as 64 bits with sign: a sum of two may need one more."""
    return (number + 2**63) % 2**64 - 2**63
