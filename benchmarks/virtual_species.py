"""A made-up world whose truth is known: where each species lives, and who looked where.

Species live by their niche in a smooth environment and within reach of their home; observers go
where it is easy to go, stay for different times, and are not equally good. The same seed gives the
same world.
"""

from __future__ import annotations

from typing import NamedTuple

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from atlas.geo.cells import EARTH_RADIUS_KM, cover
from atlas.geo.shapes import BoundingBox
from benchmarks.communities import Cells, Community, Flags, Floats, Ints, Met

_LAND = BoundingBox(-60.0, -30.0, -40.0, -10.0)
_FIELDS, _WAVES = 3, 6
_CITIES = 25
_OBSERVERS = 60
_VISITS_AT_ONCE = 4_096
# Species of fewer cells are no range to find.
_FEWEST_CELLS = 5


class _World(NamedTuple):
    cells: Cells
    latitude: Floats
    longitude: Floats
    suitable: Floats
    lives: Flags
    abundance: Floats


def simulate(rows: int, seed: int, *, species: int = 600, resolution: int = 4) -> Community:
    """A world of about `rows` records, made on visits that each lie in one cell and day."""
    random = np.random.default_rng(seed)
    world = _grow(species, resolution, random)
    met = _visit(world, rows, random)
    shape = world.lives.shape
    incidences = np.zeros(shape, np.int64)
    np.add.at(incidences, (met.cell, met.species), 1)
    searched = incidences.any(axis=1)
    # A visit that found nothing leaves no record, so nobody knows of it.
    _, first = np.unique(met.visit, return_index=True)
    return Community(
        world="simulated",
        cells=world.cells[searched],
        latitude=world.latitude[searched],
        longitude=world.longitude[searched],
        # Now and then somebody records the same species twice on a visit.
        records=(incidences + random.binomial(incidences, 0.3))[searched],
        incidences=incidences[searched],
        visits=np.bincount(met.cell[first], minlength=shape[0])[searched],
        lives=world.lives[searched],
    )


def meetings(rows: int, seed: int, *, species: int = 600, resolution: int = 4) -> Met:
    """The same world visit by visit: each species once a visit on which it was met."""
    random = np.random.default_rng(seed)
    return _visit(_grow(species, resolution, random), rows, random)


def _visit(world: _World, rows: int, random: np.random.Generator) -> Met:
    ease = _ease(world, random)
    skill = random.lognormal(0.0, 0.5, _OBSERVERS)
    hours = random.lognormal(-0.5, 0.7, 1_000)
    # What an average visit to an average place finds tells how many visits make so many records.
    trial = random.choice(len(ease), 500, p=ease)
    found = _chances(world, trial, random.choice(hours, 500) * random.choice(skill, 500))
    visits = max(int(rows / found.sum(axis=1).mean()), 1)
    where = random.choice(len(ease), visits, p=ease)
    effort = random.choice(hours, visits) * random.choice(skill, visits)
    met = []
    for start in range(0, visits, _VISITS_AT_ONCE):
        part = slice(start, start + _VISITS_AT_ONCE)
        chance = _chances(world, where[part], effort[part])
        visit, species = np.nonzero(random.random(chance.shape) < chance)
        met.append(np.stack([where[part][visit], visit + start, species]))
    return Met(*np.concatenate(met, axis=1))


def _grow(species: int, resolution: int, random: np.random.Generator) -> _World:
    """Cells with their environment, and where each species could live and does."""
    cells = cover(_LAND, resolution)
    latitude, longitude = np.array([h3.cell_to_latlng(cell) for cell in cells.tolist()]).T
    environment = _environment(latitude, longitude, random)
    home = random.integers(0, len(cells), species)
    breadth = random.lognormal(0.0, 0.5, species)
    reach_km = random.lognormal(6.5, 0.6, species)
    niche = ((environment[:, None] - environment[home][None]) ** 2).sum(axis=2) / breadth**2
    away = _distance_km(latitude, longitude, latitude[home], longitude[home]) / reach_km
    suitable = np.exp(-0.5 * (niche + away**2))
    lives = random.random(suitable.shape) < suitable
    kept = lives.sum(axis=0) >= _FEWEST_CELLS
    abundance = random.lognormal(-1.5, 1.3, species)
    return _World(cells, latitude, longitude, suitable[:, kept], lives[:, kept], abundance[kept])


def _environment(latitude: Floats, longitude: Floats, random: np.random.Generator) -> Floats:
    """Smooth fields of mean 0 and variance 1, (cells, fields), of waves some degrees long."""
    length = random.uniform(5.0, 25.0, (_FIELDS, _WAVES))
    angle = random.uniform(0.0, 2.0 * np.pi, (_FIELDS, _WAVES))
    phase = random.uniform(0.0, 2.0 * np.pi, (_FIELDS, _WAVES))
    along = np.multiply.outer(longitude, np.cos(angle)) + np.multiply.outer(latitude, np.sin(angle))
    waves = np.sin(2.0 * np.pi * along / length + phase).sum(axis=2)
    fields: Floats = (waves - waves.mean(axis=0)) / waves.std(axis=0)
    return fields


def _ease(world: _World, random: np.random.Generator) -> Floats:
    """The share of visits that each cell gets: near cities many, elsewhere by chance."""
    city = random.integers(0, len(world.cells), _CITIES)
    size = random.lognormal(0.0, 1.0, _CITIES)
    away = _distance_km(
        world.latitude, world.longitude, world.latitude[city], world.longitude[city]
    )
    near = (size * np.exp(-away / 60.0)).sum(axis=1)
    ease = (near + 0.02) * random.lognormal(0.0, 1.2, len(world.cells))
    shares: Floats = ease / ease.sum()
    return shares


def _chances(world: _World, where: Ints, effort: Floats) -> Floats:
    """The chance to meet each species on each visit, (visits, species)."""
    rate = world.abundance * world.suitable[where] * effort[:, None]
    return np.where(world.lives[where], -np.expm1(-rate), 0.0)


def _distance_km(
    latitude: Floats, longitude: Floats, to_latitude: Floats, to_longitude: Floats
) -> Floats:
    """Great-circle distances (n, m)."""
    a, b = (_unit(latitude, longitude), _unit(to_latitude, to_longitude))
    cosine = np.clip(a @ b.T, -1.0, 1.0)
    distance: npt.NDArray[np.float64] = EARTH_RADIUS_KM * np.arccos(cosine)
    return distance


def _unit(latitude: Floats, longitude: Floats) -> Floats:
    lat, lon = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
