"""How many of a filter's rows each inverted list holds, kept for the filters asked lately.

Threads: safe from any; two that ask for the same counts at once may both count.
"""

from __future__ import annotations

from threading import Lock

from cachetools import LRUCache

from atlas.bundle.segment import Segment
from atlas.search.lists import Counts
from atlas.search.planner import SpaceIndex
from atlas.search.selection import Selection


class HeldLists:
    """Counts by filter, segment and space, within `cache_bytes`."""

    def __init__(self, cache_bytes: int) -> None:
        self._kept: LRUCache[tuple[bytes, str, str], Counts] = LRUCache(
            cache_bytes, getsizeof=lambda counts: int(counts.nbytes)
        )
        self._lock = Lock()

    def counts(
        self, key: bytes, index: SpaceIndex, segment: Segment, selection: Selection
    ) -> Counts:
        """Passing rows of each list, (lists,) int64, for the filter whose key is `key`."""
        place = (key, segment.name, index.space)
        with self._lock:
            kept: Counts | None = self._kept.get(place)
        if kept is not None:
            return kept
        counts = index.held(segment, selection)
        with self._lock:
            if counts.nbytes <= self._kept.maxsize:
                self._kept[place] = counts
        return counts
