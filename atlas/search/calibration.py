"""Gives every space the costs of this machine: those kept beside the bundle, or measured now."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from atlas.bundle.bundle import COARSE_FILE, SPACES, Bundle
from atlas.search.costs import Costs, calibrate, costs_path, read_costs, write_costs
from atlas.search.planner import SpaceIndex

_log = logging.getLogger(__name__)


def set_costs(bundle: Bundle, spaces: Mapping[str, SpaceIndex], *, calibrate_missing: bool) -> None:
    """Set the costs of all spaces that have an index; half a second a space where not kept yet.

    A folder that cannot be written is no reason not to serve: the costs are then measured at every
    start, and the log says so.
    """
    indexed = {name: space for name, space in spaces.items() if space.lists}
    if not indexed:
        return
    coarse = _checksums(bundle)
    path = costs_path(bundle.root)
    kept = read_costs(path, coarse)
    if kept is None or not indexed.keys() <= kept.keys():
        if not calibrate_missing:
            return
        kept = {name: _measured(space) for name, space in indexed.items()}
        try:
            write_costs(path, kept, coarse)
        except OSError as error:
            _log.warning("costs were measured and cannot be kept in %s: %s", path, error)
    for name, space in indexed.items():
        space.costs = kept[name]


def _measured(space: SpaceIndex) -> Costs:
    """The largest indexed segment stands for all."""
    largest = max(
        (segment for segment in space.segments if segment.name in space.lists),
        key=lambda segment: segment.rows,
    )
    return calibrate(largest.vectors(space.space), space.lists[largest.name])


def _checksums(bundle: Bundle) -> dict[str, str]:
    """The checksum of each space's trained index, as the manifest states it."""
    stated = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    return {
        entry.name: stated.get(f"{SPACES}/{entry.folder}/{COARSE_FILE}", "")
        for entry in bundle.manifest.spaces
    }
