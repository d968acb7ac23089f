"""Whether a bundle's indexes still fit its rows, and when to train them again pays.

An index is trained once; rows that are added go into its lists as they are. They may lie where no
list was meant to be, or be so many that lists grow long. Reads a bundle, and changes nothing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from atlas.bundle.bundle import SEGMENTS, SPACES, Bundle
from atlas.bundle.manifest import read_struct
from atlas.errors import BundleError
from atlas.search.index import lists_for
from indexer.fit import TRAINING_FILE, Fit, SegmentFolder, measure_fit

# From here on a search scores a tenth to a third more codes than after training again, for the same
# recall (docs/indexing.md).
RESIDUAL_GROWTH = 1.05
IMBALANCE_GROWTH = 1.15
LISTS_GROWTH = 2


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One space: its fit when it was trained (None where nothing tells), now, and by segment.

    `lists_wanted` is how many lists a build of as many rows would make. `reasons` say why to train
    again pays; there are none where it does not.
    """

    space: str
    trained: Fit | None
    now: Fit
    segments: tuple[tuple[str, Fit], ...]
    lists_wanted: int
    reasons: tuple[str, ...]


def drift_of(root: Path, *, seed: int) -> tuple[Drift, ...]:
    """The drift of every space of the live bundle that has an index.

    Raises BundleError where the bundle is damaged or no space has an index.
    """
    bundle = Bundle.open(root, "sizes")
    found = []
    for entry in bundle.manifest.spaces:
        if bundle.spaces[entry.name].factory is None:
            continue
        folders = {
            segment.name: SegmentFolder(root / SEGMENTS / segment.name, segment.rows)
            for segment in bundle.manifest.segments
        }
        at_training = root / SPACES / entry.folder / TRAINING_FILE
        trained = read_struct(at_training, Fit) if at_training.exists() else None
        now = measure_fit(entry.name, list(folders.values()), seed=seed)
        wanted = lists_for(now.rows)
        found.append(
            Drift(
                space=entry.name,
                trained=trained,
                now=now,
                segments=tuple(
                    (name, measure_fit(entry.name, [folder], seed=seed))
                    for name, folder in folders.items()
                ),
                lists_wanted=wanted,
                reasons=reasons_to_train(trained, now),
            )
        )
    if not found:
        raise BundleError(root, "has no index: it is searched exactly, and nothing is trained")
    return tuple(found)


def reasons_to_train(trained: Fit | None, now: Fit) -> tuple[str, ...]:
    """Why to train again pays, in words; none where it does not.

    Where nothing tells how rows fitted when the index was trained, only the number of lists counts.
    """
    reasons = []
    # A plan may ask for fewer lists than usual, and means it.
    enough_then = now.lists if trained is None else lists_for(trained.rows)
    if lists_for(now.rows) >= LISTS_GROWTH * enough_then:
        reasons.append(
            f"{now.rows:,} rows want {lists_for(now.rows):,} lists, the index has {now.lists:,}: "
            f"each list that is looked into holds {now.rows // now.lists:,} rows"
        )
    if trained is not None and now.residual >= RESIDUAL_GROWTH * trained.residual:
        reasons.append(
            f"rows lie farther from the middle of their list: {now.residual:.3f}, "
            f"{trained.residual:.3f} when it was trained"
        )
    if trained is not None and now.imbalance >= IMBALANCE_GROWTH * trained.imbalance:
        reasons.append(
            f"lists are more uneven: {now.imbalance:.2f}, {trained.imbalance:.2f} when it was "
            "trained"
        )
    return tuple(reasons)
