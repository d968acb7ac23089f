"""The invented people who make the demonstration's records: names, homes and licences."""

from __future__ import annotations

import numpy as np

from illustrated.licences import Habit

_FIRST = (
    "Ada",
    "Amara",
    "Bruno",
    "Chen",
    "Dalia",
    "Emil",
    "Fatou",
    "Greta",
    "Hana",
    "Ines",
    "Jonas",
    "Kofi",
    "Lena",
    "Mateo",
    "Nadia",
    "Olga",
    "Pablo",
    "Quinn",
    "Rosa",
    "Sami",
    "Tomas",
    "Uma",
    "Vera",
    "Wen",
    "Yara",
    "Zoe",
)
_LAST = (
    "Alder",
    "Birch",
    "Brook",
    "Cedar",
    "Dale",
    "Elm",
    "Fern",
    "Glade",
    "Heath",
    "Ivy",
    "Juniper",
    "Kestrel",
    "Linden",
    "Marsh",
    "Nettle",
    "Oakes",
    "Pine",
    "Quarry",
    "Reed",
    "Sedge",
    "Thorn",
    "Vale",
    "Willow",
    "Yarrow",
)


class Observer:
    """One person; `licence` decides how their records are licensed."""

    def __init__(self, name: str, licence: Habit) -> None:
        """Names are invented."""
        self.name = name
        self.licence = licence


class Observers:
    """Everyone who records, by city; the same seed gives the same people."""

    def __init__(self, seed: int) -> None:
        """People are made when their city is first asked for."""
        self._seed = seed
        self._by_city: dict[str, list[Observer]] = {}

    def one_of(self, random: np.random.Generator, city: str) -> Observer:
        """An observer of a city; some are far more active than others."""
        if city not in self._by_city:
            self._by_city[city] = self._people(city)
        people = self._by_city[city]
        return people[int(len(people) * random.random() ** 2)]

    def _people(self, city: str) -> list[Observer]:
        random = np.random.default_rng([self._seed, 31, *city.encode()])
        return [
            Observer(
                f"{_FIRST[int(random.integers(len(_FIRST)))]} "
                f"{_LAST[int(random.integers(len(_LAST)))]}",
                Habit(random),
            )
            for _ in range(int(random.integers(3, 9)))
        ]
