"""The species, regions and cities of the demonstration atlas, from the tables beside this file.

Written from general knowledge for a demonstration: real names and taxonomy, simplified looks and
ranges. Read-only.
"""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec

from illustrated.looks import Look

TABLES = Path(__file__).parent / "tables"
RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")


class Species(msgspec.Struct, frozen=True, kw_only=True):
    """One species: lineage ('' where a rank is unsettled), names, look, and where and when."""

    lineage: tuple[str, ...]
    common_name: str
    common_name_es: str
    looks: tuple[Look, ...]
    regions: tuple[str, ...]
    months: tuple[int, ...]

    @property
    def name(self) -> str:
        """The binomial."""
        return self.lineage[-1]

    @property
    def group(self) -> str:
        """The group that it is drawn as."""
        return self.looks[0].group


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A box in degrees; `realm` is land, sea or lake."""

    name: str
    west: float
    south: float
    east: float
    north: float
    realm: str


class City(msgspec.Struct, frozen=True, kw_only=True):
    """A city and how many people there record nature."""

    name: str
    latitude: float
    longitude: float
    observers: int


def read_species() -> tuple[Species, ...]:
    """All species; raises ValueError for a look or a region that does not exist."""
    regions = read_regions()
    found = tuple(_species(row) for row in _rows("species.csv"))
    for species in found:
        for region in species.regions:
            if region not in regions:
                raise ValueError(f"{species.name}: no region {region!r}")
    return found


def read_regions() -> dict[str, Region]:
    """All regions by name."""
    boxes = ("west", "south", "east", "north")
    return {
        row["region"]: Region(
            name=row["region"], realm=row["realm"], **{side: float(row[side]) for side in boxes}
        )
        for row in _rows("regions.csv")
    }


def read_cities() -> tuple[City, ...]:
    """All cities."""
    return tuple(
        City(
            name=row["city"],
            latitude=float(row["latitude"]),
            longitude=float(row["longitude"]),
            observers=int(row["observers"]),
        )
        for row in _rows("cities.csv")
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _species(row: dict[str, str]) -> Species:
    """A row as a species; its looks, one a habitat, with the usual habitat first."""
    return Species(
        lineage=tuple(row[rank] for rank in RANKS),
        common_name=row["vernacularName"],
        common_name_es=row["vernacularName_es"],
        looks=tuple(
            Look(
                group=row["group"],
                plan=row["plan"],
                body=row["body"],
                accent=row["accent"],
                pattern=row["pattern"],
                habitat=habitat,
            )
            for habitat in row["habitats"].split(";")
        ),
        regions=tuple(row["regions"].split(";")),
        months=_months(row["months"]),
    )


def _months(text: str) -> tuple[int, ...]:
    """`4-9` as 4 … 9; `11-3` runs over the new year."""
    first, last = (int(part) for part in text.split("-"))
    count = (last - first) % 12 + 1
    return tuple((first - 1 + index) % 12 + 1 for index in range(count))
