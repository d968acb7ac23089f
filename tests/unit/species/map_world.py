"""A small catalog for tests of maps: records that a test places, and all that maps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import numpy as np

from atlas.bundle.flags import held_back_mask
from atlas.catalog import Catalog
from atlas.geo.cells import place
from atlas.species.gaps import GapSettings
from atlas.species.map_settings import MapSettings
from atlas.species.maps import Maps
from tests.catalog_factory import FINEST, ImageCase, write_catalog

# Of the factory's tree: two frogs of one genus and a bird, all animals without a class.
LIFE, ANIMALS, RANA, MOOR_FROG, COMMON_FROG, SPARROW = 0, 1, 2, 3, 4, 6


def sighting(
    taxon_id: int,
    latitude: float,
    longitude: float,
    *,
    uncertainty_m: float | None = 10.0,
    day: date | None = date(2020, 5, 1),
    until: date | None = None,
    observer: str = "A. Observer",
    flags: int = 0,
) -> ImageCase:
    """A record at a point, in the cell that holds its uncertainty."""
    metres = np.nan if uncertainty_m is None else uncertainty_m
    return ImageCase(
        taxon_id=taxon_id,
        latitude=latitude,
        longitude=longitude,
        uncertainty_m=uncertainty_m,
        cell=int(place([latitude], [longitude], [metres], FINEST)[0]),
        observed_from=day,
        observed_to=until or day,
        observer=observer,
        flags=flags,
    )


@contextmanager
def mapped(
    path: Path, records: Sequence[ImageCase], settings: MapSettings | None = None
) -> Iterator[Maps]:
    """Maps of these records; the class of a kingdom stands for the target group."""
    ordered = sorted(records, key=lambda record: record.taxon_id)
    write_catalog(path, ordered)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "INSERT INTO held_back SELECT taxon_id, flags, count(*) FROM image "
            f"WHERE flags & {held_back_mask()} > 0 GROUP BY taxon_id, flags"
        )
    catalog = Catalog.open(path)
    try:
        yield Maps.of(
            catalog,
            finest=FINEST,
            demonstration=True,
            settings=settings or MapSettings(target_group_rank="kingdom"),
            gaps=GapSettings(),
        )
    finally:
        catalog.close()
