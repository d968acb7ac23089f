"""A small atlas for tests of gaps: frogs of two families, a bird and a fish, with known visits."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import h3.api.basic_int as h3
import numpy as np

from atlas.catalog import Catalog
from atlas.geo.land import land_share
from atlas.geo.layers import Layers
from atlas.species.gap_detail import GapDetails
from atlas.species.gap_survey import GapSurvey
from atlas.species.gaps import GapSettings
from atlas.species.occupancy import Occupancy
from atlas.species.surroundings import Surroundings
from atlas.species.target_group import TargetGroups
from atlas.species.unrecorded import UnrecordedSpecies
from tests.catalog_factory import FINEST, ImageCase, TaxonCase, write_catalog

AS_OF = dt.date(2024, 1, 1)
LIFE, ANIMALS, AMPHIBIA, HYLIDAE, HYLA, AGALYCHNIS, RANIDAE, RANA, BIRDS, MALLARD, FISH, TUNA = (
    range(12)
)
_TREE: tuple[tuple[int, int, int | None, str, str], ...] = (
    (LIFE, TUNA, None, "root", "Life"),
    (ANIMALS, TUNA, LIFE, "kingdom", "Animalia"),
    (AMPHIBIA, RANA, ANIMALS, "class", "Amphibia"),
    (HYLIDAE, AGALYCHNIS, AMPHIBIA, "family", "Hylidae"),
    (HYLA, HYLA, HYLIDAE, "species", "Hyla arborea"),
    (AGALYCHNIS, AGALYCHNIS, HYLIDAE, "species", "Agalychnis callidryas"),
    (RANIDAE, RANA, AMPHIBIA, "family", "Ranidae"),
    (RANA, RANA, RANIDAE, "species", "Rana temporaria"),
    (BIRDS, MALLARD, ANIMALS, "class", "Aves"),
    (MALLARD, MALLARD, BIRDS, "species", "Anas platyrhynchos"),
    (FISH, TUNA, ANIMALS, "class", "Actinopterygii"),
    (TUNA, TUNA, FISH, "species", "Thunnus thynnus"),
)


def taxa() -> tuple[TaxonCase, ...]:
    """The tree, with the lineage of each taxon."""
    lineages: dict[int | None, tuple[int, ...]] = {None: ()}
    found = []
    for taxon_id, last, parent, rank, name in _TREE:
        lineages[taxon_id] = (*lineages[parent], taxon_id)
        found.append(
            TaxonCase(
                taxon_id=taxon_id,
                last_descendant=last,
                parent_id=parent,
                rank=rank,
                scientific_name=name,
                lineage=lineages[parent],
                path=("", "", ""),
            )
        )
    return tuple(found)


def record(
    taxon_id: int,
    latitude: float,
    longitude: float,
    day: dt.date | None,
    observer: str = "somebody",
    uncertainty_m: float | None = None,
    resolution: int = FINEST,
) -> ImageCase:
    """One record at a point."""
    return ImageCase(
        taxon_id=taxon_id,
        cell=h3.latlng_to_cell(latitude, longitude, resolution),
        latitude=latitude,
        longitude=longitude,
        uncertainty_m=uncertainty_m,
        observed_from=day,
        observed_to=day,
        observer=observer,
    )


def european_records(seed: int = 4, records: int = 1500) -> list[ImageCase]:
    """Frogs and ducks around the middle of Europe, few frogs of the first family in the west."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(records):
        longitude, latitude = random.normal(12.0, 3.0), random.normal(50.0, 1.5)
        kinds = (RANA, MALLARD) if longitude < 10.0 else (RANA, HYLA, MALLARD)
        day = AS_OF - dt.timedelta(days=int(random.integers(1, 4000)))
        observer = f"observer {random.integers(0, 12)}"
        found.append(record(int(random.choice(kinds)), latitude, longitude, day, observer))
    return found


class World:
    """An open catalog of these records, and what asks it about gaps."""

    def __init__(
        self,
        path: Path,
        images: list[ImageCase],
        settings: GapSettings,
        layers: Layers | None = None,
    ) -> None:
        self.catalog = Catalog.open(write_catalog(path, images, taxa()))
        self.occupancy = Occupancy(self.catalog, finest=FINEST)
        groups = TargetGroups(self.catalog, "class")
        self.survey = GapSurvey(
            self.catalog,
            self.occupancy,
            target_group=groups.of,
            land_share=land_share,
            settings=settings,
            as_of=AS_OF,
        )
        unrecorded = UnrecordedSpecies(
            self.catalog, self.occupancy, settings, Surroundings(layers or Layers())
        )
        self.details = GapDetails(self.survey, self.catalog, self.occupancy, unrecorded, settings)
