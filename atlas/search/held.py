"""How many of a filter's rows each inverted list holds, kept for the filters asked lately.

Threads: safe from any; two that ask for the same counts at once may both count.
"""

from __future__ import annotations

from threading import Lock

from cachetools import LRUCache

from atlas.bundle.segment import Segment
from atlas.search.list_counts import HeldRows
from atlas.search.planner import SpaceIndex
from atlas.search.selection import Selection


class HeldLists:
    """HeldRows by filter, segment and space, within `cache_bytes`."""

    def __init__(self, cache_bytes: int) -> None:
        self._kept: LRUCache[tuple[bytes, str, str], HeldRows] = LRUCache(
            cache_bytes, getsizeof=lambda held: int(held.counts.nbytes)
        )
        self._lock = Lock()

    def counts(
        self, key: bytes, index: SpaceIndex, segment: Segment, selection: Selection
    ) -> HeldRows:
        """Passing rows of each list for the filter whose key is `key`."""
        place = (key, segment.name, index.space)
        with self._lock:
            kept: HeldRows | None = self._kept.get(place)
        if kept is not None:
            return kept
        counted = index.held(segment, selection)
        with self._lock:
            if counted.counts.nbytes <= self._kept.maxsize:
                self._kept[place] = counted
        return counted
