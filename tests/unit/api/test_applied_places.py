"""Words of place against the layers that a bundle has: what limits, and what no layer can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.api.applied_places import PlaceMeaning, usual_filters, with_place
from atlas.api.named_places import places_of
from atlas.api.not_applied import NotApplied
from atlas.bundle.bundle import LAYERS
from atlas.bundle.manifest import LayerEntry
from atlas.geo.layers import NAMES, Layer, Layers
from atlas.reading.place_words import DEFAULT_WITHIN_M
from atlas.reading.places import Gazetteer, Place
from atlas.reading.spans import Elevation, Near, Within
from atlas.search import place_filters
from atlas.search.filters import Filter, key_of

GAZETTEER = Gazetteer(
    [
        Place(id="river/nile", kind="river", name="Nile", names={"es": ("Nilo",)}),
        Place(id="river/ob", kind="river", name="Ob"),
        Place(id="continent/here", kind="continent", name="Here", countries=("KE", "TZ")),
        Place(id="continent/there", kind="continent", name="There"),
        Place(id="city/1", kind="city", name="Lima", latitude=-12.0, longitude=-77.0),
        Place(id="mountains/andes", kind="mountains", name="Andes"),
        Place(id="area/manu", kind="area", name="Manu"),
        Place(id="area/both", kind="area", name="Both"),
    ]
)


def make_layer(
    root: Path,
    feature: str,
    kind: Literal["distance", "category", "value"],
    names: tuple[tuple[str, str], ...] = (),
    orders: tuple[float, ...] = (),
) -> Layer:
    """A layer of which only the entry and the names are there."""
    if names:
        folder = root / LAYERS / feature
        folder.mkdir(parents=True)
        rows = [
            {"id": number, "name": name, "code": code}
            for number, (name, code) in enumerate(names, 1)
        ]
        pq.write_table(pa.Table.from_pylist(rows), folder / NAMES)
    entry = LayerEntry(
        name=feature,
        kind=kind,
        feature=feature,
        folder=feature,
        cells="",
        segments=(),
        orders=orders,
        names=NAMES if names else "",
        rule="",
        title="",
        origin="",
        fingerprint="",
        made_at="",
    )
    return Layer(root, entry, ())


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    """Rivers with names and orders, a coast, countries, regions, elevation."""
    return Layers(
        [
            make_layer(tmp_path, "river", "distance", (("Nilo", ""),), (3.0, 6.0)),
            make_layer(tmp_path, "coast", "distance"),
            make_layer(tmp_path, "country", "category", (("Kenya", "KE"), ("Peru", "PE"))),
            make_layer(tmp_path, "region", "category", (("California", "US-CA"),)),
            make_layer(tmp_path, "elevation", "value"),
            make_layer(tmp_path, "park", "category", (("Manu", ""), ("Both", ""))),
            make_layer(tmp_path, "reserve", "category", (("Both", ""), ("Serengeti", ""))),
            make_layer(tmp_path, "range", "distance", (("Andes", ""),)),
        ]
    )


@pytest.mark.parametrize(
    ("meant", "expected"),
    [
        (
            Near(feature="river", within_m=1000),
            {"near": (place_filters.Near(feature="river", within_m=1000),)},
        ),
        (
            Near(feature="river", within_m=1000, min_order=5),
            {"near": (place_filters.Near(feature="river", within_m=1000, min_order=5),)},
        ),
        (
            Near(feature="river", within_m=1000, place="river/nile"),
            {"near": (place_filters.Near(feature="river", within_m=1000, name="Nilo"),)},
        ),
        (Within(country=("KE", "XX")), {"country": ("KE",)}),
        (Within(region=("US-CA",)), {"region": ("US-CA",)}),
        (Within(continent=("here",)), {"country": ("KE",)}),
        (
            Near(feature="place", within_m=5000, place="city/1"),
            {"around": (place_filters.Around(latitude=-12.0, longitude=-77.0, within_m=5000),)},
        ),
        (
            Within(place=("city/1",), within_m=(9000,)),
            {"around": (place_filters.Around(latitude=-12.0, longitude=-77.0, within_m=9000),)},
        ),
        (
            Near(feature="place", within_m=5000, place="mountains/andes"),
            {"near": (place_filters.Near(feature="range", within_m=5000, name="Andes"),)},
        ),
        (
            Within(place=("area/manu",)),
            {"layers": {"park": place_filters.LayerRange(values=("Manu",))}},
        ),
        (Elevation(min_m=100), {"elevation": place_filters.ElevationRange(min_m=100)}),
    ],
)
def test_what_a_layer_can_tell_limits(
    layers: Layers, meant: PlaceMeaning, expected: dict[str, Any]
) -> None:
    """The filter is the one that a client would have written."""
    assert with_place(Filter(), Filter(), meant, layers, GAZETTEER) == Filter(**expected)


@pytest.mark.parametrize(
    ("meant", "reason"),
    [
        (Near(feature="lake", within_m=1000), "no layer of lakes"),
        (Near(feature="place", within_m=1000, place="area/manu"), "no layer of named places"),
        (Near(feature="place", within_m=1000, place="city/9"), "no layer of named places"),
        (Near(feature="place", within_m=0, place="city/1"), "above 0"),
        (Within(place=("city/1",)), "no layer of areas"),
        (Within(place=("area/both",)), "several layers"),
        (Within(place=("area/manu",), country=("KE",)), "an area or something larger"),
        (Near(feature="river", within_m=0), "above 0"),
        (Near(feature="river", within_m=1000, min_order=9), "how large"),
        (Near(feature="coast", within_m=1000, min_order=1), "how large"),
        (Near(feature="river", within_m=1000, place="river/ob"), "does not know this name"),
        (Near(feature="river", within_m=1000, place="river/none"), "does not know this name"),
        (Within(country=("XX",)), "does not know it"),
        (Within(country=("KE",), region=("US-CA",)), "a country or a region"),
        (Within(continent=("there",)), "not listed"),
        (Within(place=("mountains/andes",)), "no layer of areas"),
    ],
)
def test_what_no_layer_can_tell_is_said(layers: Layers, meant: PlaceMeaning, reason: str) -> None:
    """Applied by half, a place would let pass what was not asked for."""
    with pytest.raises(NotApplied, match=reason):
        with_place(Filter(), Filter(), meant, layers, GAZETTEER)


@pytest.mark.parametrize(
    ("meant", "asked"),
    [
        (
            Near(feature="river", within_m=10),
            Filter(near=(place_filters.Near(feature="coast", within_m=1),)),
        ),
        (Within(country=("KE",)), Filter(country=("PE",))),
        (Within(region=("US-CA",)), Filter(region=("US-CA",))),
        (
            Near(feature="place", within_m=10, place="city/1"),
            Filter(around=(place_filters.Around(latitude=1, longitude=1, within_m=1),)),
        ),
        (
            Within(place=("city/1",), within_m=(9000,)),
            Filter(around_any=(place_filters.Around(latitude=1, longitude=1, within_m=1),)),
        ),
        (
            Within(place=("area/manu",)),
            Filter(layers={"park": place_filters.LayerRange(values=("Both",))}),
        ),
        (Elevation(min_m=1), Filter(elevation=place_filters.ElevationRange(max_m=1))),
    ],
)
def test_the_clients_filter_goes_before_the_words(
    layers: Layers, meant: PlaceMeaning, asked: Filter
) -> None:
    """Who states a filter has corrected the words."""
    with pytest.raises(NotApplied):
        with_place(asked, asked, meant, layers, GAZETTEER)


def test_several_features_must_all_be_near(layers: Layers) -> None:
    """Near rivers and near the coast is both."""
    river = with_place(Filter(), Filter(), Near(feature="river", within_m=10), layers, GAZETTEER)
    both = with_place(river, Filter(), Near(feature="coast", within_m=20), layers, GAZETTEER)
    assert [near.feature for near in both.near or ()] == ["river", "coast"]


def test_usual_words_are_compiled_beforehand(layers: Layers, tmp_path: Path) -> None:
    """A filter that words write otherwise, if only 1000 for 1000.0, would be compiled again."""
    near = Near(feature="river", within_m=DEFAULT_WITHIN_M["river"])
    written = with_place(Filter(), Filter(), near, layers, GAZETTEER)
    assert key_of(written) in {key_of(usual) for usual in usual_filters(layers)}
    assert len(usual_filters(layers)) == 2  # rivers and the coast
    assert usual_filters(Layers([make_layer(tmp_path, "river", "distance")] * 2)) == []


def test_two_layers_of_one_feature_are_named(tmp_path: Path) -> None:
    """One of them taken silently would be the wrong one half of the time."""
    twice = Layers([make_layer(tmp_path, "river", "distance")] * 2)
    with pytest.raises(NotApplied, match="several layers"):
        with_place(Filter(), Filter(), Near(feature="river", within_m=10), twice, GAZETTEER)


def test_a_river_by_its_name_on_maps(tmp_path: Path) -> None:
    """People say "the Orange River", maps write "Orange"."""
    layers = Layers([make_layer(tmp_path, "river", "distance", (("Orange", "Gariep"),))])
    gazetteer = Gazetteer(
        [Place(id="river/orange", kind="river", name="Orange River", names={"es": ("río Orange",)})]
    )
    near = Near(feature="river", within_m=1000, place="river/orange")
    found = with_place(Filter(), Filter(), near, layers, gazetteer)
    assert found.near == (place_filters.Near(feature="river", within_m=1000.0, name="Orange"),)


def test_rivers_of_a_layer_do_not_take_towns_names(tmp_path: Path) -> None:
    """Near Ottawa is near the town; a river whose name is no town's is known by it."""
    names = (("Ottawa", ""), ("Kinabatangan", ""), ("X1", ""), ("Main", ""))
    river = make_layer(tmp_path, "river", "distance", names)
    park = make_layer(tmp_path, "park", "category", (("Ottawa", ""),))
    gazetteer = Gazetteer([Place(id="city/2", kind="city", name="Ottawa")])
    found = {(place.kind, place.name) for place in places_of(Layers([river, park]), gazetteer)}
    assert found == {("river", "Kinabatangan"), ("area", "Ottawa")}
