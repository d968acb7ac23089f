"""Makes the demonstration's Darwin Core rows: what was seen, where, when, by whom.

It decides rows and looks only; `illustrated.make` draws and writes. One seed gives one set.
"""

from __future__ import annotations

import msgspec
import numpy as np

from illustrated.geography import Geography
from illustrated.looks import Look
from illustrated.observers import Observers
from illustrated.places import SiteChooser
from illustrated.species import RANKS, Region, Species, read_cities, read_regions, read_species

COLUMNS = (
    "occurrenceID",
    "scientificName",
    *RANKS,
    "vernacularName",
    "decimalLatitude",
    "decimalLongitude",
    "coordinateUncertaintyInMeters",
    "eventDate",
    "recordedBy",
    "basisOfRecord",
    "license",
    "rightsHolder",
    "references",
    "file",
    "mediaLicense",
    "informationWithheld",
)
# Species whose places a publisher blurs, as iNaturalist does for threatened ones.
OBSCURED = frozenset(
    {"Mantella aurantiaca", "Psittacus erithacus", "Ailuropoda melanoleuca", "Rosalia alpina"}
)
_OBSCURED_DEGREES = 0.2
_YEARS = np.arange(2012, 2026)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One row and the drawing that belongs to it."""

    row: dict[str, str]
    look: Look
    seed: int


class RecordMaker:
    """Makes records one after another. One thread."""

    def __init__(self, seed: int) -> None:
        """Reads the tables and the geography."""
        self._random = np.random.default_rng([seed, 41])
        self._seed = seed
        self._species = read_species()
        self._regions = read_regions()
        self._geography = Geography()
        self._chooser = SiteChooser(self._geography, read_cities(), seed)
        self._observers = Observers(seed)
        weights = self._random.lognormal(0.0, 0.55, len(self._species))
        self._shares = weights / weights.sum()

    def make(self, count: int) -> list[Record]:
        """`count` good records; about one in 25 is a second photo of the record before it."""
        records: list[Record] = []
        for number in range(count):
            if records and self._random.random() < 0.04:
                records.append(self._second_photo(records[-1], number))
            else:
                records.append(self._record(number))
        return records

    def _record(self, number: int) -> Record:
        random = self._random
        species = self._species[int(random.choice(len(self._species), p=self._shares))]
        usual_first = np.array([2.0] + [1.0] * (len(species.looks) - 1))
        look = species.looks[
            int(random.choice(len(species.looks), p=usual_first / usual_first.sum()))
        ]
        region = self._regions[species.regions[int(random.integers(len(species.regions)))]]
        longitude, latitude, city = self._chooser.choose(random, region, look.habitat)
        observer = self._observers.one_of(random, city)
        licence, media_licence = observer.licence.spelled(random)
        place = self._place(species, region, longitude, latitude)
        row = dict.fromkeys(COLUMNS, "") | self._names(species) | place
        row |= {
            "occurrenceID": f"illustrated:{self._seed}:{number:06d}",
            "eventDate": self._date(species, look.habitat),
            "recordedBy": observer.name,
            "basisOfRecord": "HumanObservation" if random.random() < 0.96 else "MachineObservation",
            "license": licence,
            "rightsHolder": observer.name,
            "references": f"https://example.org/illustrated/{self._seed}/{number:06d}",
            "file": f"images/{number:06d}.jpg",
            "mediaLicense": media_licence,
        }
        return Record(row=row, look=look, seed=self._drawing_seed(number))

    def _second_photo(self, before: Record, number: int) -> Record:
        """Another photo of the same occurrence."""
        row = before.row | {"file": f"images/{number:06d}.jpg"}
        return Record(row=row, look=before.look, seed=self._drawing_seed(number))

    def _drawing_seed(self, number: int) -> int:
        """Seeds above those of training (see drawings_cache) and below those of evaluation."""
        return 1_000_000_000 + (self._seed % 1_000) * 1_000_000 + number

    def _names(self, species: Species) -> dict[str, str]:
        """Names; a few records were identified to the genus only."""
        names = dict(zip(RANKS, species.lineage, strict=True))
        if self._random.random() < 0.012:
            return names | {"species": "", "scientificName": names["genus"], "vernacularName": ""}
        return names | {"scientificName": species.name, "vernacularName": species.common_name}

    def _place(
        self, species: Species, region: Region, longitude: float, latitude: float
    ) -> dict[str, str]:
        """Coordinates with their uncertainty; blurred for a species whose places are withheld."""
        random = self._random
        withheld = ""
        uncertainty = f"{random.lognormal(3.2, 1.1) + 3:.0f}"
        chance = random.random()
        if species.name in OBSCURED:
            longitude, latitude = self._blurred(region, longitude, latitude)
            metres = int(28_500 * (0.6 + 0.4 * np.cos(np.radians(latitude))))
            uncertainty = str(metres)
            withheld = f"Coordinate uncertainty increased to {metres}m to protect threatened taxon"
        elif chance < 0.08:
            uncertainty = ""
        elif chance < 0.095:
            uncertainty = "30000"
        return {
            "decimalLatitude": f"{latitude:.5f}",
            "decimalLongitude": f"{longitude:.5f}",
            "coordinateUncertaintyInMeters": uncertainty,
            "informationWithheld": withheld,
        }

    def _blurred(self, region: Region, longitude: float, latitude: float) -> tuple[float, float]:
        """A place anywhere in the same 0.2-degree box, still on land."""
        corner = np.floor(np.array([longitude, latitude]) / _OBSCURED_DEGREES) * _OBSCURED_DEGREES
        for _ in range(20):
            x, y = corner + self._random.random(2) * _OBSCURED_DEGREES
            dry = self._geography.on_land(np.array([x]), np.array([y]))[0]
            if dry and region.west < x < region.east and region.south < y < region.north:
                return float(x), float(y)
        return longitude, latitude

    def _date(self, species: Species, habitat: str) -> str:
        """A day in the species' months, in one of the forms that Darwin Core allows."""
        random = self._random
        # Recording grows from year to year, as it does on real platforms.
        weights = 1.25 ** np.arange(len(_YEARS))
        year = int(random.choice(_YEARS, p=weights / weights.sum()))
        month = species.months[int(random.integers(len(species.months)))]
        day = int(random.integers(1, 29))
        form = random.random()
        if form < 0.01:
            return f"{year}-{month:02d}"
        written = f"{year}-{month:02d}-{day:02d}"
        if form < 0.03 and day < 27:
            return f"{written}/{year}-{month:02d}-{day + 2:02d}"
        if form < 0.4:
            hour = int(random.integers(20, 24) if habitat == "night" else random.integers(6, 20))
            return f"{written}T{hour:02d}:{int(random.integers(60)):02d}:00"
        return written
