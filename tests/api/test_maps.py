"""Maps of one taxon over HTTP: forms, filters, rates, ranges, pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import date
from typing import Any

import h3.api.basic_str as h3
import msgspec
import numpy as np
import pyarrow.parquet
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from PIL import Image

from atlas.bundle.flags import FLAGS
from atlas.species.kernel import reporting_rate

Client = TestClient[Litestar]
Hit = dict[str, Any]

HELD_BACK = {flag.name for flag in FLAGS if flag.held_back}
GEOJSON, CSV, PARQUET = "application/geo+json", "text/csv", "application/vnd.apache.parquet"


def taxon_id(client: Client, name: str) -> int:
    """The number of a taxon in this bundle."""
    return int(client.get("/v1/taxa", params={"q": name}).json()["taxa"][0]["taxon_id"])


def days(hit: Hit) -> tuple[date, date] | None:
    """First and last day of a record."""
    if not hit["observed_on"]:
        return None
    first, _, last = hit["observed_on"].partition("/")
    return date.fromisoformat(first), date.fromisoformat(last or first)


def _between(hit: Hit, first: date, last: date) -> bool:
    span = days(hit)
    return span is not None and first <= span[0] and span[1] <= last


FILTERS: list[tuple[str, Callable[[Hit], bool]]] = [
    ("", lambda _: True),
    ("&from=2018-01-01&to=2020-06-30", lambda h: _between(h, date(2018, 1, 1), date(2020, 6, 30))),
    ("&months=3,4&months=5", lambda h: (s := days(h)) is not None and s[0].month in {3, 4, 5}),
    (
        "&max_uncertainty_m=800",
        lambda h: h["uncertainty_m"] is not None and h["uncertainty_m"] <= 800,
    ),
    ("&sources=tiny", lambda _: True),
]


@pytest.mark.parametrize(("query", "passes"), FILTERS, ids=[query for query, _ in FILTERS])
def test_filters_apply_to_the_taxon_and_to_its_effort(
    client: Client, hits: list[Hit], query: str, passes: Callable[[Hit], bool]
) -> None:
    """Records of summer beside the effort of all year would look like rarity."""
    amphibians = {"Agalychnis callidryas", "Hyla arborea", "Rana temporaria"}
    records = {
        (hit["occurrence_id"], hit["taxon"]["scientific_name"], hit["cell"])
        for hit in hits
        if hit["taxon"]["scientific_name"] in amphibians
        and hit["cell"]
        and not HELD_BACK & set(hit["flags"])
        and passes(hit)
        and h3.get_resolution(hit["cell"]) >= 3
    }
    frog = taxon_id(client, "Rana temporaria")
    answer = client.get(f"/v1/taxa/{frog}/distribution?resolution=3{query}").json()
    fine = [cell for cell in answer["cells"] if not cell["coarse"]]
    own = [record for record in records if record[1] == "Rana temporaria"]
    assert sum(cell["n"] for cell in fine) == len(own)
    for cell in fine:
        group = [record for record in records if h3.cell_to_parent(record[2], 3) == cell["cell"]]
        assert cell["effort"]["n"] == len(group)


def test_rates_have_their_interval(client: Client) -> None:
    """A rate of one visit in one must not look like one of a hundred in a hundred."""
    frog = taxon_id(client, "Rana temporaria")
    cells = client.get(f"/v1/taxa/{frog}/distribution?resolution=2&searched=true").json()["cells"]
    fine = [cell for cell in cells if not cell["coarse"]]
    assert {cell["state"] for cell in fine} == {"recorded", "searched, not recorded"}
    for cell in fine:
        expected = reporting_rate([cell["visits"]], [cell["effort"]["visits"]])
        rate = cell["reporting_rate"]
        assert rate["rate"] == pytest.approx(expected.rate[0], abs=1e-6)
        assert rate["lower"] == pytest.approx(expected.lower[0], abs=1e-6)
        assert rate["upper"] == pytest.approx(expected.upper[0], abs=1e-6)
        assert 0.0 <= cell["density"] <= 1.0
        visits = cell["effort"]["visits"]
        assert cell["confidence"] == pytest.approx(visits / (visits + 5.0), abs=1e-6)


def test_density_borrows_from_the_cells_around(client: Client) -> None:
    """A searched cell beside one with records is likelier to hold the taxon than one far away."""
    frog = taxon_id(client, "Rana temporaria")
    cells = client.get(f"/v1/taxa/{frog}/distribution?resolution=5&searched=true").json()["cells"]
    fine = [cell for cell in cells if not cell["coarse"]]
    recorded = [cell["cell"] for cell in fine if cell["n"]]
    unmet = [cell for cell in fine if not cell["n"]]
    near = [
        cell["density"]
        for cell in unmet
        if any(other in h3.grid_disk(cell["cell"], 1) for other in recorded)
    ]
    far = [
        cell["density"]
        for cell in unmet
        if not any(other in h3.grid_disk(cell["cell"], 2) for other in recorded)
    ]
    assert near
    assert far
    assert min(near) > max(far)


def test_a_box_does_not_change_a_density(client: Client) -> None:
    """Smoothing reaches over the edge of a box: the same cell has the same number without it."""
    path = f"/v1/taxa/{taxon_id(client, 'Anura')}/distribution?resolution=4&searched=true"
    whole = {cell["cell"]: cell for cell in client.get(path).json()["cells"]}
    boxed = client.get(f"{path}&bbox=4.6,52.1,4.95,52.6").json()["cells"]
    assert 0 < len(boxed) < len(whole)
    for cell in boxed:
        other = whole[cell["cell"]]
        assert cell == other


def test_every_form_says_the_same(client: Client) -> None:
    """CSV and Parquet are the JSON answer, flat: a column mixed up would be a wrong map."""
    path = f"/v1/taxa/{taxon_id(client, 'Anura')}/distribution?resolution=5&searched=true"
    plain = client.get(path).json()
    table = client.get(path, headers={"Accept": PARQUET})
    assert table.headers["content-type"] == PARQUET
    assert "Accept" in table.headers["vary"].split(",")
    parquet = pyarrow.parquet.read_table(io.BytesIO(table.content))
    about = msgspec.json.decode(parquet.schema.metadata[b"atlas"])
    assert about == {name: plain[name] for name in about}
    written = client.get(path, headers={"Accept": "text/csv"})
    assert written.headers["content-type"].startswith(CSV)
    lines = list(csv.DictReader(io.StringIO(written.text)))
    rows = parquet.to_pylist()
    assert len(rows) == len(lines) == len(plain["cells"])
    for row, line, cell in zip(rows, lines, plain["cells"], strict=True):
        assert [row["cell"], line["cell"]] == [cell["cell"]] * 2
        assert (row["latitude"], row["longitude"]) == pytest.approx(
            h3.cell_to_latlng(cell["cell"]), abs=1e-6
        )
        for name in ("state", "n", "visits", "observers", "coarse", "resolution"):
            assert row[name] == cell[name]
        assert str(row["first_day"]) == str(cell["first_day"])
        for name in ("area_km2", "density", "confidence", "min_uncertainty_m"):
            assert row[name] == pytest.approx(cell[name], abs=1e-6)
        effort = cell["effort"] or {"n": None, "visits": None}
        assert (row["effort_n"], row["effort_visits"]) == (effort["n"], effort["visits"])
        rate = cell["reporting_rate"] or {"rate": None, "upper": None}
        assert row["reporting_rate"] == pytest.approx(rate["rate"], abs=1e-6)
        assert line["n"] == str(cell["n"])
        assert (line["visits"] == "") == (cell["visits"] is None)


@pytest.mark.parametrize(
    ("accept", "status", "form"),
    [
        ("*/*", 200, "application/json"),
        ("", 200, "application/json"),
        ("text/html, application/xhtml+xml, */*;q=0.8", 200, "application/json"),
        ("text/csv;q=0.5, application/geo+json", 200, GEOJSON),
        ("image/png", 406, "application/problem+json"),
        ("application/json;q=0", 406, "application/problem+json"),
        ("nonsense", 406, "application/problem+json"),
    ],
)
def test_accept_chooses_the_form(client: Client, accept: str, status: int, form: str) -> None:
    """A form that there is not is refused by name, not answered with another."""
    answer = client.get("/v1/taxa/0/distribution?resolution=2", headers={"Accept": accept})
    assert answer.status_code == status
    assert answer.headers["content-type"] == form
    if status == 406:
        assert "text/csv" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2020-13-01", "from"),
        ("to=yesterday", "to"),
        ("from=2021-01-01&to=2020-01-01", "from"),
        ("months=0", "months"),
        ("months=5,thirteen", "months"),
        ("sources=nobody", "sources"),
        ("max_uncertainty_m=-1", "max_uncertainty_m"),
        ("max_uncertainty_m=nan", "max_uncertainty_m"),
    ],
)
@pytest.mark.parametrize(
    "path", ["/v1/taxa/0/distribution", "/v1/taxa/0/range", "/v1/tiles/occurrence/0/0/0"]
)
def test_filters_that_mean_nothing_are_refused(
    client: Client, path: str, query: str, field: str
) -> None:
    """A mistyped filter that was ignored would give a map of something else."""
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert answer.json()["field"] == field


def test_held_back_records_are_counted(client: Client, hits: list[Hit]) -> None:
    """Every answer says how many records it held back, and why: as many as a search would show."""
    held = {flag["name"] for flag in client.get("/v1/atlas").json()["flags"] if flag["held_back"]}
    expected: dict[str, set[str]] = {}
    for hit in hits:
        for flag in held & set(hit["flags"]):
            expected.setdefault(flag, set()).add(hit["occurrence_id"])
    for path in ("/v1/taxa/0/distribution?resolution=2", "/v1/taxa/0/range"):
        counts = client.get(path).json()["held_back"]
        assert {entry["flag"]: entry["records"] for entry in counts} == {
            flag: len(records) for flag, records in expected.items()
        }


def test_range_of_a_taxon(client: Client, hits: list[Hit]) -> None:
    """Sizes, latitudes and seasons from the records themselves, worded as preliminary."""
    frog = taxon_id(client, "Rana temporaria")
    answer = client.get(f"/v1/taxa/{frog}/range?resolution=3").json()
    shown = [
        hit
        for hit in hits
        if hit["taxon"]["taxon_id"] == frog
        and not HELD_BACK & set(hit["flags"])
        and hit["lat"] is not None
    ]
    records = {hit["occurrence_id"]: hit for hit in shown}
    assert answer["wording"] == "preliminary, not an IUCN assessment"
    assert answer["basis"]["records"] == answer["basis"]["points"] == len(records)
    assert answer["basis"]["cell_resolution"] is None
    assert answer["area_of_occupancy_at_least"] is False
    assert answer["area_of_occupancy_km2"] % 4 == 0
    assert 4 <= answer["area_of_occupancy_km2"] <= 4 * len(records)
    assert answer["extent_of_occurrence_km2"] >= answer["area_of_occupancy_km2"]
    latitudes = [hit["lat"] for hit in records.values()]
    assert answer["latitudes"]["south"] == pytest.approx(min(latitudes), abs=1e-5)
    assert answer["latitudes"]["north"] == pytest.approx(max(latitudes), abs=1e-5)
    months = [0] * 12
    years: dict[int, int] = {}
    for hit in records.values():
        span = days(hit)
        if span:
            months[span[0].month - 1] += 1
            years[span[0].year] = years.get(span[0].year, 0) + 1
    assert answer["seasons"]["months"] == months
    assert {entry["year"]: entry["records"] for entry in answer["seasons"]["years"]} == years
    assert sum(answer["seasons"]["effort_share"]) == pytest.approx(1.0, abs=0.001)
    cells = client.get(f"/v1/taxa/{frog}/distribution?resolution=3").json()["cells"]
    fine = [cell for cell in cells if not cell["coarse"]]
    assert answer["occupied_cells"] == len(fine)
    assert answer["occupied_km2"] == pytest.approx(sum(cell["area_km2"] for cell in fine), 1e-6)
    spring = client.get(f"/v1/taxa/{frog}/range?months=3,4,5").json()
    assert sum(spring["seasons"]["months"]) == sum(months[2:5])
    assert spring["seasons"]["months"][6] == 0


def test_picture_of_a_map(client: Client) -> None:
    """A PNG of the width that was asked for, in colours, that a client may keep."""
    frog = taxon_id(client, "Rana temporaria")
    path = f"/v1/taxa/{frog}/map.png"
    answer = client.get(f"{path}?width=600")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.width == 600
        assert 300 < picture.height < 1200
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 50
    tag = answer.headers["etag"]
    assert client.get(f"{path}?width=600", headers={"If-None-Match": tag}).status_code == 304
    assert client.get(f"{path}?width=601", headers={"If-None-Match": tag}).status_code == 200
    for query in ("width=199", "width=4001", "width=many", "bbox=1,2,3"):
        assert client.get(f"{path}?{query}").status_code == 422
    assert client.get("/v1/taxa/99999/map.png").status_code == 404
