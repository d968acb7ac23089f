"""Rankings of species that a cell might have: the atlas's own, Frescalo's, and three baselines.

A method sees the masked community and which cells are asked, and gives scores (m, s) by name,
higher for what it expects more. It never sees what was hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from atlas.geo.cells import EARTH_RADIUS_KM
from atlas.species.expected import (
    at_own_effort,
    expected_species,
    frescalo_weights,
    sampling_effort,
)
from atlas.species.kernel import disks, smoothed
from atlas.species.unrecorded import RINGS
from benchmarks.communities import Community, Flags, Floats

Scores = Mapping[str, Floats]
Method = Callable[[Community, Flags], Scores]

OURS = "atlas"
KERNEL = "ratio kernel"
BASELINES = ("3x3 cells of 1 degree", "global frequency", KERNEL)

# Rings of the ratio kernel that are tried: the baseline is the best of them, world by world.
KERNEL_RINGS = (1, 2, 4, 8, 16, 24)


def global_frequency(community: Community, _asked: Flags) -> Scores:
    """Baseline: in how many cells a species is recorded, the same everywhere."""
    cells = (community.records > 0).sum(axis=0).astype(np.float64)
    return {"global frequency": np.broadcast_to(cells, community.records.shape)}


def degree_cells(community: Community, _asked: Flags) -> Scores:
    """Baseline: in how many of the nine 1° cells around a place a species is recorded.

    The rule itself is "in any"; the number ranks better, so the baseline is the stronger one.
    """
    row = np.floor(community.latitude).astype(int) + 91
    column = np.floor(community.longitude).astype(int) + 181
    grid = np.zeros((183, 363, community.records.shape[1]), np.bool_)
    np.logical_or.at(grid, (row, column), community.records > 0)
    around = range(-1, 2)
    score = sum(grid[row + up, column + right] for up in around for right in around)
    return {"3x3 cells of 1 degree": np.asarray(score, np.float64)}


def ratio_kernel(rings: int) -> Method:
    """Baseline: a species' records and its group's smoothed apart over k-rings, then divided."""

    def score(community: Community, _asked: Flags) -> Scores:
        effort = community.records.sum(axis=1, keepdims=True)
        both = np.concatenate([community.records, effort], axis=1)
        sums = smoothed(community.cells, both, community.cells, rings=rings)
        # Every cell has records of its own, so no group's sum is below 1.
        return {f"{KERNEL}, {rings} rings": sums[:, :-1] / np.maximum(sums[:, -1:], 1.0)}

    return score


def frescalo(community: Community, asked: Flags) -> Scores:
    """Frescalo as published: the 200 nearest cells, of these the 100 most alike (Dice)."""
    presence = (community.records > 0).astype(np.float64)
    species = presence.sum(axis=1)
    alike = 2.0 * (presence @ presence.T) / np.maximum(species[:, None] + species, 1.0)
    np.fill_diagonal(alike, 2.0)  # itself comes first, though it be empty
    cells = np.flatnonzero(asked)
    pairs = zip(distances_km(community)[cells], alike[cells], strict=True)
    frequencies = np.stack([frescalo_weights(*pair) for pair in pairs]) @ presence
    standard, own = np.zeros(presence.shape), np.zeros(presence.shape)
    for cell, shares in zip(cells.tolist(), np.minimum(frequencies, 1.0), strict=True):
        if shares.any():
            standard[cell] = sampling_effort(shares).probabilities
            own[cell] = at_own_effort(shares, int(species[cell]))
    return {"frescalo": standard, "frescalo at own effort": own}


def atlas(community: Community, asked: Flags) -> Scores:
    """The atlas's own: the probability at the standard effort, and the chance at the cell's own.

    From the cells that the server asks: all within so many steps that have records.
    """
    presence = community.records > 0
    distance = distances_km(community)
    standard, own = np.zeros(presence.shape), np.zeros(presence.shape)
    cells = np.flatnonzero(asked)
    owner, around, _ = disks(community.cells[cells], RINGS)
    for position, cell in enumerate(cells.tolist()):
        near = np.flatnonzero(np.isin(community.cells, around[owner == position]))
        target = int(np.searchsorted(near, cell))
        found = expected_species(presence[near], distance[cell][near], target=target)
        if found is not None:
            standard[cell], own[cell] = found.probabilities, found.own_effort
    return {"atlas at standard effort": standard, OURS: own}


def every_method() -> list[Method]:
    """All of them, in the order of the report."""
    return [atlas, frescalo, global_frequency, degree_cells, *map(ratio_kernel, KERNEL_RINGS)]


def distances_km(community: Community) -> Floats:
    """Great-circle distances between all cells, (m, m); 0 to itself."""
    lat, lon = np.radians(community.latitude), np.radians(community.longitude)
    unit = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    distance: Floats = EARTH_RADIUS_KM * np.arccos(np.clip(unit @ unit.T, -1.0, 1.0))
    np.fill_diagonal(distance, 0.0)
    return distance
