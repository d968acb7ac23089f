"""What a question may be limited to, and what that means in SQL.

`Filter` is also the wire form: the API reads it as it is. A filter becomes one condition on the
catalog's `image` table, with every value of the user bound as a parameter or checked to be a
number. Knows nothing of segments or vectors. Pure: safe from any thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.geo.cells import descendant_range, parent_sql, parse_cell
from atlas.geo.shapes import BoundingBox, Polygon
from atlas.search.place_filters import PlaceFilter

MAX_LISTED = 1_000
MAX_TAXA = 100
TaxonId = Annotated[int, Meta(ge=0)]

Listed = Annotated[tuple[str, ...], Meta(min_length=1, max_length=MAX_LISTED)]
Months = Annotated[tuple[Annotated[int, Meta(ge=1, le=12)], ...], Meta(min_length=1, max_length=12)]
Position = Annotated[tuple[float, ...], Meta(min_length=2, max_length=3)]
Ring = Annotated[tuple[Position, ...], Meta(min_length=4)]
Rings = Annotated[tuple[Ring, ...], Meta(min_length=1)]


class PolygonGeometry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="Polygon",
):
    """A GeoJSON Polygon: an outer ring and its holes, positions as longitude, latitude."""

    coordinates: Rings


class MultiPolygonGeometry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="MultiPolygon",
):
    """A GeoJSON MultiPolygon."""

    coordinates: Annotated[tuple[Rings, ...], Meta(min_length=1)]


class DateRange(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"first": "from", "last": "to"},
):
    """Days, both included; either end may be left open."""

    first: Annotated[date | None, Meta(description="First day, ISO 8601.")] = None
    last: Annotated[date | None, Meta(description="Last day, included, ISO 8601.")] = None


class Filter(PlaceFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions that a row must meet, all of them; what is left out does not limit."""

    taxon: Annotated[
        TaxonId | Annotated[tuple[TaxonId, ...], Meta(min_length=1, max_length=MAX_TAXA)] | None,
        Meta(
            description="A taxon id: the taxon and everything below it; or several, of which a "
            "record must be in one."
        ),
    ] = None
    cells: Annotated[
        Listed | None,
        Meta(
            description="H3 cells. A record passes when the cell it is stored in is one of these "
            "or lies inside one. A record whose place is known less finely than the cell asked "
            "for does not pass.",
        ),
    ] = None
    bbox: Annotated[
        tuple[float, float, float, float] | None,
        Meta(
            description="West, south, east, north in degrees, edges included; west greater than "
            "east crosses the antimeridian."
        ),
    ] = None
    polygon: Annotated[
        PolygonGeometry | MultiPolygonGeometry | None,
        Meta(description="A GeoJSON Polygon or MultiPolygon; its edges belong to it."),
    ] = None
    observed: Annotated[
        DateRange | None,
        Meta(
            description="Days of observation. A record with a range of dates passes only when "
            "the whole range lies inside; a record without a date does not pass."
        ),
    ] = None
    months: Annotated[
        Months | None,
        Meta(
            description="Months, 1 to 12. A record whose dates span months does not pass.",
        ),
    ] = None
    licences: Annotated[
        Listed | None,
        Meta(description="Codes of photo licences."),
    ] = None
    sources: Annotated[
        Listed | None,
        Meta(description="Keys of sources."),
    ] = None
    max_uncertainty_m: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(
            description="Greatest uncertainty of the coordinates, in metres. A record of unknown "
            "uncertainty does not pass.",
        ),
    ] = None
    flags: Annotated[
        Literal["default", "all"],
        Meta(
            description="`default` holds back records with the quality problems that the atlas "
            "marks so; `all` holds nothing back."
        ),
    ] = "default"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition on `image`: SQL, its parameters, and a polygon that points must then lie in.

    `sql` is "" when every row meets it. `only_taxa` are intervals of taxon ids, first and last,
    apart and in order, where nothing else is asked for: those rows are known without a query.
    """

    sql: str
    parameters: tuple[object, ...]
    polygon: Polygon | None
    only_taxa: tuple[tuple[int, int], ...] | None = None


class _Terms:
    """Collects SQL terms and their parameters in step."""

    def __init__(self) -> None:
        self.terms: list[str] = []
        self.parameters: list[object] = []

    def add(self, term: str, *parameters: object) -> None:
        self.terms.append(f"({term})")
        self.parameters.extend(parameters)


def taxa_of(asked: Filter) -> tuple[int, ...]:
    """The taxa that a filter names, each once, in order of their ids; () where it names none."""
    if asked.taxon is None:
        return ()
    return (asked.taxon,) if isinstance(asked.taxon, int) else tuple(sorted(set(asked.taxon)))


def key_of(asked: Filter) -> bytes:
    """Bytes that are equal for filters that ask for the same; lists are sets, their order is not.

    Used to find a compiled filter again and to bind a cursor to its question.
    """

    def as_set(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if values is None else tuple(sorted(set(values)))

    taxa = taxa_of(asked)
    plain = msgspec.structs.replace(
        asked,
        taxon=taxa[0] if len(taxa) == 1 else taxa or None,
        cells=as_set(asked.cells and tuple(cell.strip().lower() for cell in asked.cells)),
        months=None if asked.months is None else tuple(sorted(set(asked.months))),
        licences=as_set(asked.licences),
        sources=as_set(asked.sources),
        country=as_set(asked.country),
        region=as_set(asked.region),
        habitat=as_set(asked.habitat),
    )
    return msgspec.json.encode(plain, order="deterministic")


def without_places(asked: Filter) -> Filter:
    """The same filter without what is judged by each record's uncertainty."""
    return msgspec.structs.replace(
        asked,
        near=None,
        around=None,
        around_any=None,
        country=None,
        region=None,
        habitat=None,
        elevation=None,
        layers=None,
    )


def condition_of(asked: Filter, catalog: Catalog, *, finest: int) -> Condition:
    """What a filter asks for except `flags` and place layers, as a condition on `image`.

    `finest` is the resolution that cells are stored at. Raises InvalidQuery naming the field when
    a value makes no sense or names something that this atlas does not hold.
    """
    terms = _Terms()
    intervals = _apart([_interval(taxon, catalog) for taxon in taxa_of(asked)])
    if intervals:
        either = " OR ".join("taxon_id BETWEEN ? AND ?" for _ in intervals)
        terms.add(either, *(end for interval in intervals for end in interval))
    if asked.cells is not None:
        _add_cells(terms, asked.cells, finest)
    if asked.bbox is not None:
        _add_box(terms, BoundingBox(*asked.bbox))
    polygon = None
    if asked.polygon is not None:
        polygon = Polygon.from_geojson(msgspec.to_builtins(asked.polygon))
        _add_box(terms, polygon.bounds())
    if asked.observed is not None:
        _add_dates(terms, asked.observed)
    if asked.months is not None:
        terms.add(f"month IN ({_numbers(asked.months)})")
    if asked.licences is not None:
        codes = {licence.code: licence.licence_id for licence in catalog.licences()}
        chosen = _known(asked.licences, codes, "filter.licences", "licence")
        terms.add(f"media_licence_id IN ({_numbers(chosen)})")
    if asked.sources is not None:
        keys = {source.key: source.source_id for source in catalog.sources()}
        terms.add(
            f"source_id IN ({_numbers(_known(asked.sources, keys, 'filter.sources', 'source'))})"
        )
    if asked.max_uncertainty_m is not None:
        _add_uncertainty(terms, asked.max_uncertainty_m)
    return Condition(
        sql=" AND ".join(terms.terms),
        parameters=tuple(terms.parameters),
        polygon=polygon,
        only_taxa=intervals if intervals and len(terms.terms) == 1 else None,
    )


def _interval(taxon_id: int, catalog: Catalog) -> tuple[int, int]:
    # An id beyond the column's range cannot exist; DuckDB would refuse to compare it.
    if not 0 <= taxon_id < 2**31:
        raise InvalidQuery("filter.taxon", f"this atlas has no taxon {taxon_id}")
    try:
        return catalog.taxon_interval(taxon_id)
    except NotFound as error:
        raise InvalidQuery("filter.taxon", f"this atlas has no taxon {taxon_id}") from error


def _apart(intervals: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Without those inside another: subtrees lie apart, or one within the other."""
    kept: list[tuple[int, int]] = []
    for first, last in sorted(intervals, key=lambda each: (each[0], -each[1])):
        if not kept or first > kept[-1][1]:
            kept.append((first, last))
    return tuple(kept)


def _known(names: tuple[str, ...], ids: dict[str, int], field: str, noun: str) -> tuple[int, ...]:
    unknown = [name for name in names if name not in ids]
    if unknown:
        offered = ", ".join(sorted(ids)[:20]) or "none"
        raise InvalidQuery(field, f"this atlas has no {noun} {unknown[0]!r}; it has: {offered}")
    return tuple(ids[name] for name in names)


def _numbers(values: tuple[int, ...]) -> str:
    return ", ".join(str(int(value)) for value in sorted(set(values)))


# Up to this many cells are looked up in the table sorted by cell, where each is a few short runs;
# more are tested against every row at once.
_FEW_CELLS = 16


def _add_cells(terms: _Terms, written: tuple[str, ...], finest: int) -> None:
    cells = sorted({parse_cell(text, "filter.cells") for text in written})
    by_resolution: dict[int, list[int]] = {}
    for cell in cells:
        resolution = (cell >> 52) & 15
        if resolution > finest:
            raise InvalidQuery(
                "filter.cells",
                f"{cell:x} is of resolution {resolution}; this atlas stores cells of {finest}",
            )
        by_resolution.setdefault(resolution, []).append(cell)
    if len(cells) <= _FEW_CELLS:
        runs = [
            descendant_range(cell, level)
            for resolution, members in by_resolution.items()
            for cell in members
            for level in range(resolution, finest + 1)
        ]
        inside = " OR ".join(f"cell BETWEEN {low} AND {high}" for low, high in runs)
        terms.add(f"row_id IN (SELECT row_id FROM image_by_cell WHERE {inside})")
        return
    terms.add(
        " OR ".join(
            f"coalesce({parent_sql('cell', resolution)} IN ({_numbers(tuple(members))}), FALSE)"
            for resolution, members in by_resolution.items()
        )
    )


def _add_box(terms: _Terms, box: BoundingBox) -> None:
    parts = box.parts()
    longitudes = ["longitude BETWEEN ? AND ?"] * len(parts)
    edges: list[object] = [edge for part in parts for edge in (part.west, part.east)]
    if any(part.west == -180.0 or part.east == 180.0 for part in parts):
        longitudes.append("abs(longitude) = 180")  # one meridian with two names
    terms.add(
        f"latitude BETWEEN ? AND ? AND ({' OR '.join(longitudes)})", box.south, box.north, *edges
    )


def _add_dates(terms: _Terms, observed: DateRange) -> None:
    if observed.first is None and observed.last is None:
        raise InvalidQuery("filter.observed", "needs `from`, `to`, or both")
    if observed.first is not None and observed.last is not None and observed.first > observed.last:
        raise InvalidQuery("filter.observed", "`from` is after `to`")
    if observed.first is not None:
        terms.add("observed_from >= ?", observed.first)
    if observed.last is not None:
        terms.add("observed_to <= ?", observed.last)
    # With one end open the other end of a record's range must still be known.
    terms.add("observed_from IS NOT NULL AND observed_to IS NOT NULL")


def _add_uncertainty(terms: _Terms, metres: float) -> None:
    if not (math.isfinite(metres) and metres > 0):
        raise InvalidQuery("filter.max_uncertainty_m", "must be a number above 0")
    # The column is FLOAT: 30.1 metres must not be found greater than 30.1.
    terms.add("uncertainty_m <= CAST(? AS FLOAT)", metres)
