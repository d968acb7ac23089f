"""Filters against a brute-force oracle that reads one record at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import h3
import msgspec
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas.bundle.flags import Flag
from atlas.bundle.segment import Segment
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery
from atlas.search.compiler import CompiledFilter, FilterCompiler
from atlas.search.filters import Filter, key_of
from atlas.search.place_filters import Around
from tests.bundle_factory import random_vectors, write_bundle
from tests.catalog_factory import FINEST, LICENCES, SOURCES, TAXA, ImageCase

HELD_BACK = Flag.RECORDED_ABSENT | Flag.DUPLICATE_PICTURE | Flag.DATE_IMPLAUSIBLE
WGS84 = pyproj.Geod(ellps="WGS84")
SIZES = (40, 1, 79)
REMOVED = (0, 7, 40, 55, 119)
UNCERTAINTIES_M = (None, 5.0, 30.1, 1_000.0, 25_000.0)
PLACES = (
    (0.0, 0.0),
    (10.0, 20.0),
    (-17.8, 179.9),
    (-17.8, -179.9),
    (5.0, 180.0),
    (5.0, -180.0),
    (89.9, 45.0),
    (-90.0, 0.0),
    (52.37, 4.9),
    (52.3701, 4.9001),
)


def _make_images() -> list[ImageCase]:
    random = np.random.default_rng(11)
    images = []
    for _ in range(sum(SIZES)):
        latitude = longitude = uncertainty = cell = first = last = None
        if random.random() < 0.9:
            latitude, longitude = PLACES[random.integers(len(PLACES))]
            resolution = int(random.choice([3, 5, FINEST, FINEST]))
            cell = int(h3.latlng_to_cell(latitude, longitude, FINEST), 16)
            cell = int(h3.cell_to_parent(f"{cell:x}", resolution), 16)
            uncertainty = UNCERTAINTIES_M[random.integers(len(UNCERTAINTIES_M))]
        if random.random() < 0.85:
            first = date(2020, 1, 1) + timedelta(days=int(random.integers(0, 800)))
            last = first + timedelta(days=int(random.choice([0, 0, 3, 40, 370])))
        images.append(
            ImageCase(
                taxon_id=int(random.integers(0, len(TAXA))),
                cell=cell,
                latitude=latitude,
                longitude=longitude,
                uncertainty_m=uncertainty,
                observed_from=first,
                observed_to=last,
                source_id=int(random.integers(0, 2)),
                media_licence_id=(None, 0, 1, 2)[random.integers(4)],
                flags=int(random.choice([0, 0, Flag.UNCERTAINTY_COARSE, *HELD_BACK])),
            )
        )
    # Rows of a segment lie in the order of their taxa, as in every bundle.
    bounds = np.cumsum([0, *SIZES])
    return [
        image
        for first, last in pairwise(bounds)
        for image in sorted(images[first:last], key=lambda image: image.taxon_id)
    ]


IMAGES = _make_images()


@pytest.fixture(scope="module", params=["places in order", "places in the catalog alone"])
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Catalog, tuple[Segment, ...]]:
    """A catalog of random records over three segments, some rows removed."""
    root: Path = tmp_path_factory.mktemp("filters")
    vectors = [random_vectors(rows, 4, seed=1) for rows in SIZES]
    in_order = request.param == "places in order"
    bundle = write_bundle(root, vectors, images=IMAGES, removed=REMOVED, in_order=in_order)
    return Catalog.open(bundle.catalog_path), bundle.segments


@pytest.fixture
def compile_filter(
    opened: tuple[Catalog, tuple[Segment, ...]],
) -> Callable[[Filter], CompiledFilter]:
    """A compiler that keeps nothing, so that every filter is compiled anew."""
    return FilterCompiler(*opened, finest=FINEST, cache_bytes=0).compile


def _rows(compiled: CompiledFilter) -> list[int]:
    starts = np.cumsum([0, *SIZES])
    return [
        int(row)
        for selection, start in zip(compiled.selections, starts, strict=False)
        for row in selection.positions() + start
    ]


def _in_box(image: ImageCase, box: tuple[float, float, float, float]) -> bool:
    west, south, east, north = box
    if image.latitude is None or image.longitude is None:
        return False
    longitudes = [image.longitude]
    if abs(image.longitude) == 180.0:
        longitudes = [180.0, -180.0]
    inside = [
        (west <= lon <= east) if west <= east else (lon >= west or lon <= east)
        for lon in longitudes
    ]
    return any(inside) and south <= image.latitude <= north


def _in_cells(image: ImageCase, cells: tuple[str, ...]) -> bool:
    if image.cell is None:
        return False
    own = f"{image.cell:x}"
    return any(
        h3.get_resolution(own) >= h3.get_resolution(cell)
        and h3.cell_to_parent(own, h3.get_resolution(cell)) == cell
        for cell in cells
    )


def _is_near(image: ImageCase, around: Around) -> tuple[bool, bool]:
    """Whether a record lies near a point for certain, and whether it may."""
    if image.latitude is None or image.longitude is None or image.uncertainty_m is None:
        return False, True
    place = (image.longitude, image.latitude)
    _, _, metres = WGS84.inv(around.longitude, around.latitude, *place)
    uncertainty_m = float(np.float32(image.uncertainty_m))
    return metres + uncertainty_m <= around.within_m, metres - uncertainty_m <= around.within_m


def _meets(image: ImageCase, asked: Filter) -> bool:  # noqa: C901, PLR0912  # one condition after the other
    """The conditions in plain words, one after the other; `polygon` is a box of straight sides."""
    first, last = image.observed_from, image.observed_to
    checks: list[bool] = []
    if asked.taxon is not None:
        taxa = (asked.taxon,) if isinstance(asked.taxon, int) else asked.taxon
        checks.append(any(taxon <= image.taxon_id <= TAXA[taxon].last_descendant for taxon in taxa))
    if asked.around is not None:
        checks += [_is_near(image, around)[0] for around in asked.around]
    if asked.around_any is not None:
        checks.append(any(_is_near(image, around)[0] for around in asked.around_any))
    if asked.cells is not None:
        checks.append(_in_cells(image, asked.cells))
    if asked.bbox is not None:
        checks.append(_in_box(image, asked.bbox))
    if asked.polygon is not None:
        shape = shapely.from_geojson(msgspec.json.encode(asked.polygon).decode())
        checks.append(
            image.longitude is not None
            and image.latitude is not None
            and bool(shapely.intersects_xy(shape, image.longitude, image.latitude))
        )
    if asked.observed is not None:
        checks.append(first is not None and last is not None)
        if asked.observed.first is not None:
            checks.append(first is not None and first >= asked.observed.first)
        if asked.observed.last is not None:
            checks.append(last is not None and last <= asked.observed.last)
    if asked.months is not None:
        checks.append(image.month in asked.months)
    if asked.licences is not None:
        checks.append(
            image.media_licence_id is not None
            and LICENCES[image.media_licence_id] in asked.licences
        )
    if asked.sources is not None:
        checks.append(SOURCES[image.source_id] in asked.sources)
    if asked.max_uncertainty_m is not None:
        checks.append(
            image.uncertainty_m is not None
            and bool(np.float32(image.uncertainty_m) <= np.float32(asked.max_uncertainty_m))
        )
    return all(checks)


def _triangle(west: float, south: float, width: float) -> dict[str, Any]:
    ring = [[west, south], [west + width, south], [west, south + width / 2], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


_cells = [
    h3.latlng_to_cell(lat, lon, resolution)
    for lat, lon in PLACES
    for resolution in (0, 2, 3, 4, 5, 6, 7)
]
_longitudes = st.sampled_from([-180.0, -179.95, -170.0, 0.0, 4.9, 20.0, 170.0, 180.0])
_latitudes = st.sampled_from([-90.0, -20.0, 0.0, 5.0, 10.0, 52.37, 90.0])
_taxa = st.integers(0, len(TAXA) - 1)
_points = st.builds(
    Around,
    latitude=_latitudes,
    longitude=_longitudes,
    within_m=st.sampled_from([1.0, 31.0, 26_000.0, 1e6, 5e6, 1.2e7, 2.01e7]),
)
_days = st.dates(date(2019, 12, 1), date(2022, 6, 1))


@st.composite
def _filters(draw: st.DrawFn) -> Filter:
    """Up to three conditions at once, so that many filters still let something pass."""
    south, north = sorted([draw(_latitudes), draw(_latitudes)])
    first, last = sorted([draw(_days), draw(_days)])
    offered: dict[str, st.SearchStrategy[Any]] = {
        "taxon": st.one_of(_taxa, st.lists(_taxa, min_size=1, max_size=4)),
        "around": st.lists(_points, min_size=1, max_size=2),
        "around_any": st.lists(_points, min_size=1, max_size=3),
        "cells": st.one_of(
            st.lists(st.sampled_from(_cells), min_size=1, max_size=3),
            st.lists(st.sampled_from(_cells), min_size=25, max_size=40),
        ),
        "bbox": st.tuples(_longitudes, st.just(south), _longitudes, st.just(north)),
        "polygon": st.builds(
            _triangle,
            st.sampled_from([-179.0, -30.0, 0.0, 4.0]),
            st.sampled_from([-50.0, -20.0, 0.0]),
            st.sampled_from([10.0, 60.0, 100.0]),
        ),
        "observed": st.sampled_from(
            [
                {"from": first.isoformat()},
                {"to": last.isoformat()},
                {"from": first.isoformat(), "to": last.isoformat()},
            ]
        ),
        "months": st.lists(st.integers(1, 12), min_size=1, max_size=5),
        "licences": st.lists(st.sampled_from(LICENCES), min_size=1, max_size=2),
        "sources": st.lists(st.sampled_from(SOURCES), min_size=1, max_size=2),
        "max_uncertainty_m": st.sampled_from([4.0, 5.0, 30.1, 1_000.0, 1e9]),
    }
    names = draw(st.lists(st.sampled_from(sorted(offered)), max_size=3, unique=True))
    wire = {name: draw(offered[name]) for name in names}
    wire["flags"] = draw(st.sampled_from(["default", "all"]))
    # Through JSON, since that is how a filter arrives.
    return msgspec.json.decode(msgspec.json.encode(wire), type=Filter)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=_filters())
def test_filters_agree_with_brute_force(
    asked: Filter, compile_filter: Callable[[Filter], CompiledFilter]
) -> None:
    """A wrong row in a page, or a wrong `matching`, is what a filter must never give."""
    met = [row for row, image in enumerate(IMAGES) if row not in REMOVED and _meets(image, asked)]
    passing = [row for row in met if asked.flags == "all" or not IMAGES[row].flags & HELD_BACK]
    if asked.around is not None or asked.around_any is not None:
        rest = msgspec.structs.replace(asked, around=None, around_any=None)
        may = [
            image
            for row, image in enumerate(IMAGES)
            if row not in REMOVED
            and _meets(image, rest)
            and (asked.flags == "all" or not image.flags & HELD_BACK)
            and all(_is_near(image, around)[1] for around in asked.around or ())
            and (
                asked.around_any is None
                or any(_is_near(image, around)[1] for around in asked.around_any)
            )
        ]
        assert compile_filter(asked).unjudged == len(may) - len(passing)
    compiled = compile_filter(asked)
    assert _rows(compiled) == passing
    assert compiled.matching == len(passing)
    assert compiled.held_back == len(met) - len(passing)


@pytest.mark.parametrize(
    "field",
    ["taxon", "taxa", "around", "around_any", "cells", "bbox", "polygon", "observed", "months"],
)
def test_the_oracle_sees_rows_pass(field: str) -> None:
    """If no record ever met a condition, agreement with the oracle would prove nothing."""
    samples: dict[str, Any] = {
        "taxon": 2,
        "taxa": [3, 5],
        "around": [{"latitude": 52.0, "longitude": 5.0, "within_m": 1e5}],
        "around_any": [
            {"latitude": 52.0, "longitude": 5.0, "within_m": 1e5},
            {"latitude": 10.0, "longitude": 20.0, "within_m": 1e4},
        ],
        "cells": [h3.latlng_to_cell(10.0, 20.0, 3)],
        "bbox": [170.0, -20.0, -170.0, 10.0],
        "polygon": _triangle(0.0, 0.0, 60.0),
        "observed": {"from": "2020-06-01", "to": "2021-12-31"},
        "months": [6, 7],
    }
    asked = msgspec.convert({field.replace("taxa", "taxon"): samples[field]}, Filter)
    assert 0 < sum(_meets(image, asked) for image in IMAGES) < len(IMAGES)


def test_a_polygon_may_cross_the_antimeridian(
    compile_filter: Callable[[Filter], CompiledFilter],
) -> None:
    """Fiji lies on both sides; a ring from 179 to -179 must not become the rest of the world."""
    ring = [[179.0, -20.0], [-179.0, -20.0], [-179.0, 10.0], [179.0, 10.0], [179.0, -20.0]]
    asked = msgspec.convert(
        {"polygon": {"type": "Polygon", "coordinates": [ring]}, "flags": "all"}, Filter
    )
    wanted = [
        row
        for row, image in enumerate(IMAGES)
        if row not in REMOVED and image.longitude is not None and abs(image.longitude) > 179.0
    ]
    assert _rows(compile_filter(asked)) == wanted
    assert wanted


@pytest.mark.parametrize(
    ("wire", "field", "words"),
    [
        ({"taxon": 99}, "filter.taxon", "no taxon 99"),
        ({"taxon": 2**40}, "filter.taxon", "no taxon"),
        ({"taxon": [1, 99]}, "filter.taxon", "no taxon 99"),
        ({"licences": ["CC-BY-4.0", "MIT"]}, "filter.licences", "no licence 'MIT'"),
        ({"sources": ["nowhere"]}, "filter.sources", "museum"),
        ({"cells": ["8928308280fffff"]}, "filter.cells", "resolution 9"),
        ({"cells": ["zebra"]}, "filter.cells", "not an H3 cell"),
        ({"bbox": [0, 50, 10, 40]}, "filter.bbox", "south"),
        ({"bbox": [0, 0, 10, 91]}, "filter.bbox", "latitude"),
        ({"observed": {}}, "filter.observed", "needs"),
        ({"observed": {"from": "2021-01-02", "to": "2021-01-01"}}, "filter.observed", "after"),
        (
            {"polygon": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [2, 2]]]}},
            "filter.polygon",
            "ring",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    wire: dict[str, Any],
    field: str,
    words: str,
    compile_filter: Callable[[Filter], CompiledFilter],
) -> None:
    """A typing error must come back as a message that names the field, not as an empty page."""
    with pytest.raises(InvalidQuery, match=words) as caught:
        compile_filter(msgspec.convert(wire, Filter))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "wire",
    [
        {"months": [13]},
        {"months": []},
        {"taxon": -1},
        {"max_uncertainty_m": 0},
        {"bbox": [1, 2, 3]},
        {"polygon": {"type": "Point", "coordinates": [1, 2]}},
        {"flags": "some"},
        {"taxa": 1},
        {"taxon": []},
        {"taxon": [1, -1]},
        {"around": [{"latitude": 91, "longitude": 0, "within_m": 1}]},
        {"around": [{"latitude": 9, "longitude": 0, "within_m": 0}]},
        {"around": [{"latitude": float("nan"), "longitude": 0, "within_m": 1}]},
        {"around": [{"latitude": 1, "longitude": 0, "within_m": float("nan")}]},
    ],
)
def test_the_wire_form_checks_bounds(wire: dict[str, Any]) -> None:
    """What the type can refuse must not get as far as the catalog."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wire, Filter)


def test_equal_filters_are_compiled_once(opened: tuple[Catalog, tuple[Segment, ...]]) -> None:
    """Every page of a walk asks with the same filter; the catalog should be asked once."""
    compiler = FilterCompiler(*opened, finest=FINEST, cache_bytes=1_000_000)
    one = compiler.compile(Filter(months=(5, 6), sources=("museum", "garden")))
    same = compiler.compile(Filter(months=(6, 5, 6), sources=("garden", "museum")))
    assert same is one
    assert key_of(Filter(taxon=(3,))) == key_of(Filter(taxon=3)) != key_of(Filter(taxon=(3, 5)))
    assert key_of(Filter(taxon=(5, 3, 5))) == key_of(Filter(taxon=(3, 5)))
    assert key_of(Filter(months=(5,))) != key_of(Filter(months=(6,)))
    assert key_of(Filter(flags="all")) != key_of(Filter())


def test_a_filter_too_large_to_keep_is_still_answered(
    opened: tuple[Catalog, tuple[Segment, ...]],
) -> None:
    """The cache raises on values above its size; a search must not."""
    compiler = FilterCompiler(*opened, finest=FINEST, cache_bytes=10)
    assert compiler.compile(Filter()).matching > 0
