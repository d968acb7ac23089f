"""Flags what is doubtful about the place of each record: never drops one, never moves one.

Pure on columns of records. The land is read at the first question; any process, one thread each.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from atlas.geo.land import lands
from atlas.geo.shapes import BoundingBox
from indexer.plan_sections import QualitySection
from indexer.quality.reference_points import ReferencePoints, reference_points

Flags = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.float64]
Passing = npt.NDArray[np.bool_]

# What GEOLocate, gazetteers and data bases write where nobody has measured (CoordinateCleaner,
# Zizka et al. 2019, doi:10.1111/2041-210X.13152).
SUSPECT_UNCERTAINTIES_M = (301.0, 3036.0, 999.0, 9999.0)
# Coasts are drawn to a kilometre and places are rounded: a point counts as at sea only where no
# land lies this near.
SEA_MARGIN_DEG = 0.1
_RING = [(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0) if x or y]


class QualityChecks(msgspec.Struct, frozen=True, kw_only=True):
    """The checks of one plan."""

    points: ReferencePoints
    land_taxa: frozenset[str]
    region: BoundingBox | None

    @classmethod
    def of(cls, settings: QualitySection) -> QualityChecks:
        """Read what the plan names. Raises PlanError where its file of points cannot be used."""
        return cls(
            points=reference_points(
                settings.reference_points,
                centroid_m=settings.centroid_m,
                capital_m=settings.capital_m,
            ),
            land_taxa=frozenset(settings.land_taxa),
            region=None if settings.region is None else BoundingBox(*settings.region),
        )

    def flags_of(self, records: pa.Table) -> Flags:
        """The flags to add to each record, int32 (n,)."""
        lat, lon, uncertainty_m = (
            records[name].cast(pa.float64()).to_numpy()
            for name in ("latitude", "longitude", "uncertainty_m")
        )
        flags = self.points.flags_at(lat, lon)
        flags |= _flagged(np.abs(lat) == np.abs(lon), Flag.COORDINATES_EQUAL)
        suspect = np.isin(uncertainty_m, SUSPECT_UNCERTAINTIES_M)
        flags |= _flagged(suspect, Flag.UNCERTAINTY_SUSPECT)
        flags |= _flagged(self._at_sea(records, lat, lon), Flag.SEA_FOR_LAND_TAXON)
        # A blurred place is the centre of something: where exactly it lies means nothing.
        flags[records["flags"].to_numpy() & int(Flag.LOCATION_OBSCURED) != 0] = 0
        if self.region is not None:
            outside = ~self.region.contains(lat, lon) & ~np.isnan(lat)
            flags |= _flagged(outside, Flag.OUTSIDE_REGION)
        return flags

    def _at_sea(self, records: pa.Table, lat: Numbers, lon: Numbers) -> Passing:
        """Whether the taxon lives on land, and no land is near."""
        found = np.zeros(len(lat), bool)
        asked = np.flatnonzero(self._lives_on_land(records) & ~np.isnan(lat))
        if len(asked) == 0:
            return found
        places, which = np.unique(
            np.column_stack([lat[asked], lon[asked]]), axis=0, return_inverse=True
        )
        found[asked] = _far_from_land(places[:, 0], places[:, 1])[which.ravel()]
        return found

    def _lives_on_land(self, records: pa.Table) -> Passing:
        names = pa.array(sorted(self.land_taxa), pa.string())
        if records.num_rows == 0 or len(names) == 0:
            return np.zeros(records.num_rows, bool)
        lineage = records["lineage"].combine_chunks()
        named = pc.is_in(lineage.flatten(), value_set=names).to_numpy(zero_copy_only=False)
        by_row: Passing = named.reshape(records.num_rows, -1).any(axis=1)
        return by_row


def _far_from_land(lat: Numbers, lon: Numbers) -> Passing:
    """Whether neither the points nor any of eight around each, at the margin, are on land."""
    far = ~lands(lat, lon)
    for east, north in _RING:
        at = np.flatnonzero(far)
        near_lat = np.clip(lat[at] + north * SEA_MARGIN_DEG, -90.0, 90.0)
        near_lon = (lon[at] + east * SEA_MARGIN_DEG + 180.0) % 360.0 - 180.0
        far[at[lands(near_lat, near_lon)]] = False
    return far


def _flagged(which: Passing, flag: Flag) -> Flags:
    return np.where(which, np.int32(flag), np.int32(0))
