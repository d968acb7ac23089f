"""A distribution as GeoJSON (RFC 7946). Pure."""

from __future__ import annotations

from atlas.api.schemas import Feature, FeatureCollection, Geometry
from atlas.geo.cells import boundary, parse_cell
from atlas.species.distribution import Distribution, OccupiedCell

GEOJSON = "application/geo+json"


def feature_collection(distribution: Distribution) -> FeatureCollection:
    """Each cell as a feature whose outline is cut at the antimeridian."""
    return FeatureCollection(
        taxon_id=distribution.taxon_id,
        resolution=distribution.resolution,
        target_group=distribution.target_group,
        records=distribution.records,
        coarse_records=distribution.coarse_records,
        features=[_feature(cell) for cell in distribution.cells],
    )


def _feature(cell: OccupiedCell) -> Feature:
    rings = boundary(parse_cell(cell.cell))
    return Feature(
        id=cell.cell,
        geometry=Geometry(coordinates=[[_rounded(ring)] for ring in rings]),
        properties=cell,
    )


def _rounded(ring: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Six decimals, a tenth of a metre: what RFC 7946 advises."""
    return [(round(longitude, 6), round(latitude, 6)) for longitude, latitude in ring]
