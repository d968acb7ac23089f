"""Where records are made: sites near cities, on the ground or water that a habitat asks for.

Observers go back to sites, so records cluster, and regions far from cities stay undocumented.
One chooser belongs to one thread; the same generator gives the same sites.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from illustrated.geography import Degrees, Geography, Mask, kilometres
from illustrated.species import City, Region

_SITES = 160
_BATCH = 400
_MARGIN_DEGREES = 1.0
_KM_A_DEGREE = 111.2
_REACH_KM = {"river": 90.0, "lake": 160.0}
# At this detail shores and rivers are known to about a kilometre.
_BESIDE_DEGREES = {"river": 0.004, "lake": 0.012}


class SiteChooser:
    """Sites for a region and habitat, made when first asked for and then kept."""

    def __init__(self, geography: Geography, cities: tuple[City, ...], seed: int) -> None:
        """`seed` decides all sites, in whatever order they are asked for."""
        self._geography = geography
        self._cities = cities
        self._seed = seed
        self._sites: dict[tuple[str, str], tuple[Degrees, list[str]]] = {}

    def choose(
        self, random: np.random.Generator, region: Region, habitat: str
    ) -> tuple[float, float, str]:
        """Longitude and latitude of a record, and the city it was made from.

        Popular sites are chosen more often; a few hundred metres around a site are its own.
        """
        water = habitat if habitat in _REACH_KM and region.realm == "land" else ""
        key = (region.name, water)
        if key not in self._sites:
            self._sites[key] = self._make(region, water)
        sites, cities = self._sites[key]
        index = int(len(sites) * random.random() ** 1.8)
        spread = 0.0012 if water == "river" else 0.003
        for _ in range(8):
            place = sites[index] + random.uniform(-spread, spread, 2)
            if self._belongs(region, place[None, :])[0]:
                return float(place[0]), float(place[1]), cities[index]
        return float(sites[index, 0]), float(sites[index, 1]), cities[index]

    def _belongs(self, region: Region, places: Degrees) -> Mask:
        """Which places lie in the region's box and in its realm."""
        longitude, latitude = places.T
        inside = (
            (longitude > region.west)
            & (longitude < region.east)
            & (latitude > region.south)
            & (latitude < region.north)
        )
        test = {
            "land": self._geography.on_land,
            "sea": self._geography.at_sea,
            "lake": self._geography.in_lake,
        }[region.realm]
        chosen: npt.NDArray[np.bool_] = inside & test(longitude, latitude)
        return chosen

    def _make(self, region: Region, water: str) -> tuple[Degrees, list[str]]:
        """Up to _SITES sites around the region's cities; raises where there are none."""
        key = [ord(letter) for letter in f"{region.name}/{water}"]
        random = np.random.default_rng([self._seed, 21, *key])
        near = [city for city in self._cities if _reaches(region, city)]
        if not near:
            raise ValueError(f"{region.name}: no city is near")
        waters = self._waters(region, water)
        if water and not len(waters):
            return self._make(region, "")
        places: list[Degrees] = []
        owners: list[str] = []
        for _ in range(40):
            if water:
                place, owner = _beside(random, near, waters, water)
            else:
                place, owner = _around(random, near, 28.0 if region.realm == "land" else 60.0)
            kept = self._belongs(region, place)
            places.append(place[kept])
            owners += [near[index].name for index in owner[kept]]
            if len(owners) >= _SITES:
                break
        if not owners and water:
            return self._make(region, "")
        if not owners:
            raise ValueError(f"{region.name}: no {region.realm} near its cities")
        return np.concatenate(places)[:_SITES], owners[:_SITES]

    def _waters(self, region: Region, water: str) -> Degrees:
        """Points along the region's rivers or lake shores (n x 2); none where `water` is ''."""
        box = (region.west, region.south, region.east, region.north)
        if water == "river":
            return self._geography.river_points(*box)
        if water == "lake":
            return self._geography.lake_shore_points(*box)
        return np.zeros((0, 2))


def _homes(
    random: np.random.Generator, near: list[City], count: int
) -> tuple[Degrees, npt.NDArray[np.int64]]:
    """Cities (n x 2: longitude, latitude) that observers set out from, and which they are."""
    people = np.array([city.observers for city in near], dtype=float)
    owner = random.choice(len(near), size=count, p=people / people.sum())
    return np.array([[city.longitude, city.latitude] for city in near])[owner], owner


def _around(
    random: np.random.Generator, near: list[City], scale_km: float
) -> tuple[Degrees, npt.NDArray[np.int64]]:
    """Places in any direction from a city, mostly close to it."""
    homes, owner = _homes(random, near, _BATCH)
    step = random.gamma(1.3, scale_km, _BATCH) / _KM_A_DEGREE
    bearing = random.uniform(0.0, 2.0 * np.pi, _BATCH)
    narrow = np.cos(np.radians(homes[:, 1]))
    offset = np.stack([np.sin(bearing) * step / narrow, np.cos(bearing) * step], axis=1)
    return homes + offset, owner


def _beside(
    random: np.random.Generator, near: list[City], waters: Degrees, water: str
) -> tuple[Degrees, npt.NDArray[np.int64]]:
    """Places beside a river or a lake within reach of a city."""
    _, owner = _homes(random, near, 60)
    places, owners = [], []
    within = {
        index: np.flatnonzero(
            kilometres(waters, np.broadcast_to([city.longitude, city.latitude], waters.shape))
            < _REACH_KM[water]
        )
        for index, city in enumerate(near)
    }
    for index in owner:
        if len(within[index]):
            chosen = waters[random.choice(within[index])]
            places.append(chosen + random.normal(0.0, _BESIDE_DEGREES[water] / 2, 2))
            owners.append(index)
    return np.array(places).reshape(-1, 2), np.array(owners, dtype=np.int64)


def _reaches(region: Region, city: City) -> bool:
    """Whether a city lies in a region or close to its edge."""
    return (
        region.west - _MARGIN_DEGREES <= city.longitude <= region.east + _MARGIN_DEGREES
        and region.south - _MARGIN_DEGREES <= city.latitude <= region.north + _MARGIN_DEGREES
    )
