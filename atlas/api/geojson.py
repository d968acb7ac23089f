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


def cell_geometry(cell: str) -> Geometry:
    """The outline of a cell, in pieces where it crosses the antimeridian."""
    return Geometry(coordinates=[[_rounded(ring)] for ring in boundary(parse_cell(cell))])


def _feature(cell: OccupiedCell) -> Feature:
    return Feature(id=cell.cell, geometry=cell_geometry(cell.cell), properties=cell)


def _rounded(ring: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Six decimals, a tenth of a metre: what RFC 7946 advises."""
    return [(round(longitude, 6), round(latitude, 6)) for longitude, latitude in ring]
