"""Finds the key that is one typing error from a word, among millions, in microseconds.

One error leaves either the first or the second half of a key as it was (pigeonhole principle), so
keys are found by hashes of their halves and then compared. Immutable: safe from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rapidfuzz.distance import OSA

# Nearly every shorter word is one error away from some name.
SHORTEST = 7
# A half that so many keys share says too little: "northern …".
MOST_COMPARED = 2_000


class TypoIndex:
    """Keys of at least `SHORTEST` letters by their halves."""

    def __init__(self, keys: Sequence[str]) -> None:
        kept = sorted({key for key in keys if len(key) >= SHORTEST})
        self._keys = pa.array(kept, pa.string())
        halves = np.empty(2 * len(kept), np.int64)
        for index, key in enumerate(kept):
            cut = len(key) // 2
            halves[2 * index] = hash((len(key), 0, key[:cut]))
            halves[2 * index + 1] = hash((len(key), 1, key[cut:]))
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
            wanted.add(hash((length, 0, word[:cut])))
            wanted.add(hash((length, 1, word[len(word) - (length - cut) :])))
        cut = len(word) // 2
        exchanged = word[: cut - 1] + word[cut] + word[cut - 1] + word[cut + 1 :]
        wanted.add(hash((len(word), 0, exchanged[:cut])))
        sought = np.fromiter(wanted, np.int64, len(wanted))
        low = np.searchsorted(self._halves, sought, "left")
        high = np.searchsorted(self._halves, sought, "right")
        found: set[str] = set()
        for first, last in zip(low.tolist(), high.tolist(), strict=True):
            if last - first > MOST_COMPARED:
                continue
            for at in self._key_of[first:last].tolist():
                key = self._keys[at].as_py()
                if OSA.distance(word, key, score_cutoff=1) == 1:
                    found.add(key)
        return found.pop() if len(found) == 1 else None
