"""What the steps of a search cost on this machine, measured once and kept beside the bundle.

The planner compares ways by these. They differ by a factor of four between machines, so none is
written into the code. Nothing in the answers depends on them but the way they were found. Threads:
calibrate before serving; reading is safe from any.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import faiss
import msgspec
import numpy as np

from atlas.bundle.files import atomic_write
from atlas.search.lists import Lists, nearest_holding
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector, Vectors

_FORMAT = 1
_ROUNDS = 7
_WINDOW_ROWS = 200_000
_SEQUENTIAL_ROWS = 16_384
_GATHERED_ROWS = 4_096
_FETCH = 400


class Costs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nanoseconds a unit, for one space: one thread, pages in memory.

    `query_ns`: a query turned into the space of the codes. `in_place_ns`: a row scored exactly in a
    sequential read. `gathered_ns`: one scored exactly out of order. `centroid_ns`: a list compared
    with the query. `list_ns`: a list opened. `code_ns`: a code scored. `skipped_ns`: a code passed
    over by a selector.
    """

    query_ns: float
    in_place_ns: float
    gathered_ns: float
    centroid_ns: float
    list_ns: float
    code_ns: float
    skipped_ns: float

    def exact_ms(self, selection: Selection) -> float:
        """Estimated time to score every row of a selection, in milliseconds."""
        in_place, gathered = selection.reading()
        return (in_place * self.in_place_ns + gathered * self.gathered_ns) / 1e6

    def probing_ms(
        self, *, lists: int, probed: float, codes: float, skipped: float, fetch: int
    ) -> float:
        """Estimated time of a search in lists, in milliseconds.

        `lists` are compared with the query, `probed` opened; `codes` scored, `skipped` passed
        over, and `fetch` candidates scored exactly.
        """
        nanoseconds = (
            self.query_ns
            + lists * self.centroid_ns
            + probed * self.list_ns
            + codes * self.code_ns
            + skipped * self.skipped_ns
            + fetch * self.gathered_ns
        )
        return nanoseconds / 1e6


# Measured on two shared cores (AMD EPYC with AVX-512) at 768 dimensions and OPQ96; in use only
# where a bundle has no index to measure.
ASSUMED = Costs(
    query_ns=100_000.0,
    in_place_ns=110.0,
    gathered_ns=300.0,
    centroid_ns=110.0,
    list_ns=300.0,
    code_ns=45.0,
    skipped_ns=2.0,
)


class _Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of the file: costs by space, and the machine and files they hold for."""

    format_version: int
    machine: str
    spaces: dict[str, Costs]
    coarse: dict[str, str]


def costs_path(bundle: Path) -> Path:
    """Where a bundle's costs are kept: beside its folder, which stays as it was published."""
    return bundle.with_name(f"{bundle.name}.costs.json")


def this_machine() -> str:
    """What costs depend on beside the index: processor, its features, and library versions."""
    parts = [
        _processor(),
        f"{os.cpu_count()} CPUs",
        f"faiss {faiss.__version__}",
        f"numkong {version('numkong')}",
        f"numpy {np.__version__}",
    ]
    return "; ".join(parts)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def read_costs(path: Path, coarse: dict[str, str]) -> dict[str, Costs] | None:
    """Costs kept in a file, None where there are none for this machine and these indexes.

    `coarse` maps each space to the checksum of its trained index.
    """
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    fits = kept.format_version == _FORMAT and kept.machine == this_machine()
    return kept.spaces if fits and kept.coarse == coarse else None


def write_costs(path: Path, spaces: dict[str, Costs], coarse: dict[str, str]) -> None:
    """Keep costs in a file, whole or not at all; OSError where the folder cannot be written."""
    kept = _Kept(format_version=_FORMAT, machine=this_machine(), spaces=spaces, coarse=coarse)
    content = msgspec.json.format(msgspec.json.encode(kept, order="sorted")) + b"\n"
    atomic_write(path, content)


def calibrate(vectors: Vectors, lists: Lists, *, seed: int = 0) -> Costs:
    """Measure one segment: its float16 `vectors`, (rows, dim), and its inverted lists.

    Takes about half a second. Everything is done once unmeasured, so that pages are in memory.
    """
    random = np.random.default_rng(seed)
    window = vectors[: min(len(vectors), _WINDOW_ROWS)]
    row = int(random.integers(len(window)))
    query = QueryVector(np.asarray(window[row], np.float32))
    query.score_rows(window, slice(0, len(window)))  # brings the pages into memory
    run_rows = min(len(window), _SEQUENTIAL_ROWS)
    gathered_rows = min(len(window), _GATHERED_ROWS)

    # Other rows in every round: the same ones again would come from the processor's cache.
    def read_run() -> None:
        start = int(random.integers(len(window) - run_rows + 1))
        query.score_rows(window, slice(start, start + run_rows))

    def gather() -> None:
        query.score_rows(window, np.sort(random.choice(len(window), gathered_rows, replace=False)))

    in_place_s = _median_s(read_run)
    drawn_s = _median_s(lambda: np.sort(random.choice(len(window), gathered_rows, replace=False)))
    gathered_s = _median_s(gather) - drawn_s
    rotated = lists.centroids.rotated(query.values)
    centroids_s = _median_s(lambda: lists.centroids.scores(rotated))
    scores = lists.centroids.scores(rotated)
    everything = Selection.everything(len(vectors))
    # One row in 64 passes: what is left of the time is passing over codes.
    sparse = Selection.of_positions(np.arange(0, len(vectors), 64, dtype=np.int64), len(vectors))
    holding = int(np.count_nonzero(lists.sizes))
    few, many = max(1, holding // 64), max(2, holding // 4)
    chosen = nearest_holding(scores, lists.sizes, many)
    codes = float(lists.sizes[chosen.numbers].sum())
    few_chosen = nearest_holding(scores, lists.sizes, few)
    few_codes = float(lists.sizes[few_chosen.numbers].sum())
    many_s = _median_s(lambda: lists.candidates(rotated, chosen, _FETCH, everything))
    few_s = _median_s(lambda: lists.candidates(rotated, few_chosen, _FETCH, everything))
    sparse_s = _median_s(lambda: lists.candidates(rotated, chosen, _FETCH, sparse))
    code_s = max(many_s - few_s, 0.0) / max(codes - few_codes, 1.0)
    passed = codes / 64
    return Costs(
        query_ns=1e9 * _median_s(lambda: lists.centroids.rotated(query.values)),
        in_place_ns=1e9 * in_place_s / run_rows,
        # Never less than in place, whatever a busy machine makes of the difference above.
        gathered_ns=1e9 * max(gathered_s / gathered_rows, in_place_s / run_rows),
        centroid_ns=1e9 * centroids_s / lists.centroids.count,
        list_ns=1e9 * max(few_s - code_s * few_codes, 0.0) / few,
        code_ns=1e9 * code_s,
        skipped_ns=1e9 * max(sparse_s - code_s * passed, 0.0) / max(codes - passed, 1.0),
    )


def _median_s(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
