"""Towns in words: their points where nobody bounds them; layers of areas and regions go first."""

from __future__ import annotations

from pathlib import Path

import pytest

from atlas.api.applied import Offered, Reading, Understood, WithoutSpan, apply_spans
from atlas.api.not_applied import NotApplied
from atlas.api.towns import settled
from atlas.geo.layers import Layers
from atlas.reading.places import Gazetteer, Place
from atlas.reading.spans import Near, Span, Within
from atlas.search.filters import Filter
from atlas.search.place_filters import Around, LayerRange
from tests.unit.api.test_applied_places import make_layer

ORIGIN = "GeoNames, CC BY 4.0"


def town(key: str, name: str, country: str, population: int, reach_m: int | None) -> Place:
    """A town on the equator, as many degrees east as it has letters."""
    return Place(
        id=f"city/{key}",
        kind="city",
        name=name,
        countries=(country,),
        population=population,
        latitude=0.0,
        longitude=float(len(name)),
        reach_m=reach_m,
        origin=ORIGIN,
    )


def region(code: str, name: str, box: tuple[float, float, float, float] | None = None) -> Place:
    """A region that is called like a town."""
    country = code.partition("-")[0]
    return Place(id=f"region/{code}", kind="region", name=name, countries=(country,), box=box)


LIMA = Around(latitude=0.0, longitude=4.0, within_m=29_000.0)
CUSCO = Around(latitude=0.0, longitude=5.0, within_m=7_000.0)
GAZETTEER = Gazetteer(
    [
        town("1", "Lima", "PE", 7_737_002, 29_000),
        town("2", "Cusco", "PE", 428_450, 7_000),
        town("3", "Lima", "US", 35_000, 5_000),
        town("4", "Lima", "PE", 1_000, 5_000),
        town("5", "Washington", "US", 600_000, 8_000),
        town("6", "Nowhere", "PE", 0, None),
        town("7", "Washington", "FJ", 200_000, 5_000),
        *(town(f"of-nine-{number}", f"Town {number}", "BR", 0, 5_000) for number in range(9)),
        region("PE-LIM", "Lima"),
        region("PE-CUS", "Cusco"),
        region("PE-AMA", "Amazonas"),
        region("US-WA", "Washington", (-124.0, 45.0, -117.0, 49.0)),
        region("FJ-X", "Washington", (179.0, -1.0, -169.0, 1.0)),
        region("FJ-Y", "Washington", (179.0, -1.0, 11.0, 1.0)),
    ]
)


def understood(
    value: Within,
    layers: Layers | None = None,
    asked: Filter | None = None,
    reading: Reading | None = None,
) -> Understood:
    """What one span gives."""
    found = [Span(start=6, end=13, kind="within", value=value, confidence=0.85)]
    offered = Offered(licences=(), layers=layers or Layers(), gazetteer=GAZETTEER)
    return apply_spans("frogs in Lima", found, asked or Filter(), reading or Reading(), offered)


def test_a_town_limits_by_the_distance_to_its_point() -> None:
    """Whoever asks for a town wants no photo of elsewhere, and must see what was supposed."""
    found = understood(Within(place=("city/1",)))
    assert found.limits == Filter(around=(LIMA,))
    (span,) = found.interpretation.spans
    assert span.applied
    assert span.value == {"place": ("city/1",), "within_m": (29_000,)}
    assert span.note == "within 29 km of the middle of Lima; where the town ends is not known"
    assert span.origin == ORIGIN
    assert found.interpretation.text == "frogs"


def test_one_of_several_towns_is_enough() -> None:
    """Nothing is in two towns at once."""
    found = understood(Within(place=("city/1", "city/2")))
    assert found.limits == Filter(around_any=(LIMA, CUSCO))
    (span,) = found.interpretation.spans
    assert span.note == (
        "within 29 km of the middle of Lima or within 7 km of the middle of Cusco; "
        "where the towns end is not known"
    )


def test_a_layer_of_areas_that_knows_the_town_goes_first(tmp_path: Path) -> None:
    """Bounds that somebody drew are better than a circle."""
    layers = Layers([make_layer(tmp_path, "town", "category", (("Lima", ""),))])
    for value in (Within(place=("city/1",)), Within(region=("PE-LIM",))):
        found = understood(value, layers)
        assert found.limits == Filter(layers={"town": LayerRange(values=("Lima",))})
        (span,) = found.interpretation.spans
        assert span.value == {"place": ("city/1",)}
        assert (span.note, span.origin) == (None, None)
    both = understood(Within(place=("city/1", "city/2")), layers).interpretation.spans[0]
    assert (both.applied, both.note) == (False, None)
    assert both.reason == "this atlas has no layer of areas that knows this one"


def test_two_layers_that_know_a_town_are_named(tmp_path: Path) -> None:
    """One of them taken silently would be the wrong one half of the time."""
    layers = Layers(
        [make_layer(tmp_path / one, one, "category", (("Lima", ""),)) for one in ("a", "b")]
    )
    with pytest.raises(NotApplied, match="several layers"):
        settled(Within(place=("city/1",)), layers, GAZETTEER)
    (span,) = understood(Within(place=("city/1",)), layers).interpretation.spans
    assert span.reason is not None
    assert "several layers" in span.reason


def test_a_region_goes_before_the_town_of_its_name(tmp_path: Path) -> None:
    """Where the region's bounds are known the town must not narrow it."""
    layers = Layers([make_layer(tmp_path, "region", "category", (("Lima", "PE-LIM"),))])
    assert understood(Within(region=("PE-LIM",)), layers).limits == Filter(region=("PE-LIM",))
    assert understood(Within(country=("PE",))).limits == Filter()


def test_without_bounds_of_regions_the_town_in_it_limits() -> None:
    """What is in the town is in the region too: fewer photos than could be, and none wrong."""
    found = understood(Within(region=("PE-LIM",)))
    assert found.limits == Filter(around=(LIMA,))
    (span,) = found.interpretation.spans
    assert span.note == "within 29 km of the middle of Lima; where the region ends is not known"
    both = understood(Within(region=("PE-CUS", "PE-LIM")))
    assert both.limits == Filter(around_any=(CUSCO, LIMA))
    mixed = understood(Within(region=("PE-CUS",), place=("city/1",)))
    assert mixed.limits == Filter(around_any=(CUSCO, LIMA))
    twice = understood(Within(region=("PE-LIM",), place=("city/1",)))
    assert twice.limits == Filter(around=(LIMA,))


def test_a_region_over_the_antimeridian_holds_its_town() -> None:
    """A box whose west is greater than its east is no empty one."""
    found = understood(Within(region=("FJ-Y",)))
    assert found.limits.around == (Around(latitude=0.0, longitude=10.0, within_m=5_000.0),)


@pytest.mark.parametrize(
    "value",
    [
        Within(region=("PE-AMA",)),
        Within(region=("PE-AMA", "PE-LIM")),  # what is in Amazonas would be left out
        Within(region=("US-WA",)),  # the town of this name lies elsewhere
        Within(region=("FJ-X",)),
        Within(region=("PE-XX",)),
        Within(place=("city/6",)),  # nobody knows where it is
        Within(place=("city/1",), country=("PE",)),
        Within(place=("city/1",), region=("PE-AMA",)),
    ],
)
def test_no_town_limits_where_it_would_leave_out_what_was_meant(value: Within) -> None:
    """A town put in the place of what has no bounds must be in it, and all of it must be asked."""
    found = understood(value)
    assert found.limits == Filter()
    assert found.interpretation.spans[0].reason is not None
    assert found.interpretation.spans[0].note is None


def test_a_town_is_soft_off_or_without_as_any_other_place() -> None:
    """Each way to take words of place must work with towns too."""
    town = Within(place=("city/1",))
    soft = understood(town, reading=Reading(place="soft"))
    assert (soft.limits, soft.prefer) == (Filter(), (Filter(around=(LIMA,)),))
    off = understood(town, reading=Reading(place="off"))
    gone = understood(town, reading=Reading(without=(WithoutSpan(kind="within", start=6),)))
    for one in (off, gone):
        assert (one.limits, one.prefer) == (Filter(), ())
        assert not one.interpretation.spans[0].applied


def test_who_states_points_has_corrected_the_words() -> None:
    """The client's own circle is what is meant by the town."""
    for asked in (Filter(around=(CUSCO,)), Filter(around_any=(CUSCO,))):
        found = understood(Within(place=("city/1",)), asked=asked)
        assert found.limits == asked
        assert found.interpretation.spans[0].reason == "the filter says what to be near"


def test_other_values_stay_as_they_are() -> None:
    """What is near a town is said by its own distance."""
    near = Near(feature="place", within_m=25_000, place="city/1")
    assert settled(near, Layers(), GAZETTEER) == (near, None)


def test_a_filter_holds_so_many_points() -> None:
    """A second list of towns, or a ninth town, cannot be asked for: it must be said."""
    many = Within(place=tuple(f"city/of-nine-{number}" for number in range(9)))
    assert "8 points" in (understood(many).interpretation.spans[0].reason or "")
    several = Span(
        start=0, end=5, kind="within", value=Within(place=("city/1", "city/2")), confidence=0.9
    )
    offered = Offered(licences=(), layers=Layers(), gazetteer=GAZETTEER)
    found = apply_spans("frogs in Lima", [several] * 2, Filter(), Reading(), offered)
    reasons = [span.reason for span in found.interpretation.spans]
    assert reasons == [None, "several towns limit already"]
