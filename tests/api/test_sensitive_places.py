"""No answer tells where a sensitive organism was found, however it is asked for.

Two atlases are built from records that differ in exact places alone. Every request that the OpenAPI
document allows, with every parameter, must be answered alike by both. A third one, in which a
public bird has moved as far, shows that the same requests would see it.
"""

from __future__ import annotations

import csv
import itertools
import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from litestar import Litestar
from litestar.testing import TestClient
from PIL import Image

from atlas.app import create_app, open_atlas
from atlas.bundle.segment import PICTURES
from atlas.commands import main
from atlas.search.pictures import hosted_copy, read_picture
from atlas.settings import Settings, override
from indexer.export.export import Format, export_bundle
from indexer.progress import Silent
from indexer.report.contents import report_of
from tests.api.hidden_places import (
    CONTROL,
    FROG,
    HERE,
    MALLARD,
    RECORDS,
    THERE,
    WHEATEAR,
    build_world,
)
from tests.api.probing import (
    Look,
    differences,
    operations,
    requests_of,
)

Client = TestClient[Litestar]
# They say nothing of records: the health of the server, its numbers, its pages.
WITHOUT_RECORDS = {"/health/live", "/health/ready", "/metrics"}
# They say nothing of places, so the control need not see the public bird move.
WITHOUT_PLACES = {
    "/v1/interpret",
    "/v1/places",
    "/v1/tiles",
    "/v1/legend/{layer}",
    "/v1/taxa",
    "/v1/taxa/{taxon_id}",
    "/v1/images/{image_id}/media",
    "/v1/basemap",
    "/v1/basemap/{detail}",
    "/v1/basemap/{detail}/labels",
}


def opened(bundle: Path) -> Iterator[Client]:
    """A client of the atlas in `bundle`."""
    app = create_app(open_atlas(override(Settings(), "bundle", path=str(bundle))))
    with TestClient(app, raise_server_exceptions=False) as running:
        yield running


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Path]:
    """The two worlds and the control."""
    folder = tmp_path_factory.mktemp("hidden")
    return {
        name: build_world(folder / name, tiny_model, places)
        for name, places in (("here", HERE), ("there", THERE), ("control", CONTROL))
    }


@pytest.fixture(scope="module")
def here(bundles: dict[str, Path]) -> Iterator[Client]:
    """A client of the first world."""
    yield from opened(bundles["here"])


@pytest.fixture(scope="module")
def there(bundles: dict[str, Path]) -> Iterator[Client]:
    """A client of the second world."""
    yield from opened(bundles["there"])


@pytest.fixture(scope="module")
def control(bundles: dict[str, Path]) -> Iterator[Client]:
    """A client of the world in which a public bird has moved."""
    yield from opened(bundles["control"])


def hits_of(client: Client) -> list[dict[str, Any]]:
    """Every photo as a search shows it."""
    body = {"text": "frog", "interpret": False, "limit": 200, "filter": {"flags": "all"}}
    found: list[dict[str, Any]] = client.post("/v1/search", json=body).json()["hits"]
    return found


@pytest.fixture(scope="module")
def looks(here: Client) -> list[Look]:
    """Where to look: the rounded and the withheld organism, and all life."""
    found = []
    for name, first, second in (
        (FROG[-1], HERE.rounded, THERE.rounded),
        (WHEATEAR[-1], HERE.withheld, THERE.withheld),
    ):
        hits = [hit for hit in hits_of(here) if hit["taxon"]["scientific_name"] == name]
        images = [hit["image_id"] for hit in hits if "urn:test" not in hit["occurrence_id"]]
        taxa = (hits[0]["taxon"]["taxon_id"], 0)
        found.append(Look(taxa=taxa, images=tuple(images[:2]), here=first, there=second))
    return found


def operations_of(client: Client) -> list[tuple[str, str, dict[str, Any]]]:
    """All operations that may tell something of records."""
    document = client.get("/schema/openapi.json").json()
    return [
        (path, method, dict(operation))
        for path, method, operation in operations(document)
        if path not in WITHOUT_RECORDS and path != "/"
    ]


def photo() -> bytes:
    """A photo to ask with."""
    target = BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(target, "JPEG")
    return target.getvalue()


def test_no_request_tells_the_two_worlds_apart(
    here: Client, there: Client, looks: list[Look]
) -> None:
    """Would break: an endpoint, filter, tile or export shows more than a place's grid point."""
    asked = 0
    for path, method, operation in operations_of(here):
        for look in looks:
            requests = list(requests_of(path, method, operation, look, photo()))
            assert requests, path
            told = differences(requests, here, there)
            assert not told, f"{len(told)} of {len(requests)} requests tell, first: {told[0]}"
            asked += len(requests)
    assert asked > 1_000


def test_the_same_requests_see_a_public_bird_move(here: Client, control: Client) -> None:
    """Would break: the test above asks for nothing, and would not notice a leak."""
    hits = [hit for hit in hits_of(here) if hit["taxon"]["scientific_name"] == MALLARD[-1]]
    images = tuple(h["image_id"] for h in hits if h["occurrence_id"].startswith("urn:public"))
    taxa = (hits[0]["taxon"]["taxon_id"], 0)
    look = Look(taxa=taxa, images=images[:2], here=HERE.public, there=CONTROL.public)
    for path, method, operation in operations_of(here):
        requests = list(requests_of(path, method, operation, look, photo()))
        seen = any(request.answer(here) != request.answer(control) for request in requests)
        assert seen or path in WITHOUT_PLACES, path


EXPORTS = {
    "map": ["map", FROG[-1], "-o", "{}.png"],
    "distribution": ["distribution", FROG[-1], "--resolution", "7", "-o", "{}.parquet"],
    "range": ["range", FROG[-1], "--json"],
    "gaps": ["gaps", "Amphibia", "--bbox=-86,9,-82,12", "--resolution", "5", "-o", "{}.csv"],
    "search": ["search", "a frog", "--taxon", FROG[-1], "--json"],
}


def test_no_export_of_the_command_line_tells(bundles: dict[str, Path], tmp_path: Path) -> None:
    """Would break: a file written by a command is finer than the answers of the server.

    A new command says here how it exports places, or that it does not.
    """
    assert set(main.commands) == {*EXPORTS, "serve", "openapi"}
    for name, arguments in EXPORTS.items():
        found = []
        for world in ("here", "there"):
            output = tmp_path / f"{world}-{name}"
            asked = [argument.format(output) for argument in arguments]
            ran = CliRunner().invoke(main, [*asked, "--bundle", str(bundles[world])])
            assert ran.exit_code == 0, ran.output
            written = [path.read_bytes() for path in tmp_path.glob(f"{world}-{name}.*")]
            answer = msgspec.json.decode(ran.stdout) if "--json" in asked else {}
            found.append((written, {k: v for k, v in answer.items() if k != "took_ms"}))
        assert found[0] == found[1]
        assert found[0] != ([], {})


@pytest.fixture(scope="module")
def exported(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Copies of the bundles: one process cannot both serve a catalog and open it in another way."""
    folder = tmp_path_factory.mktemp("exported")
    return {world: shutil.copytree(root, folder / world) for world, root in bundles.items()}


def test_no_file_that_the_indexer_exports_tells(exported: dict[str, Path], tmp_path: Path) -> None:
    """Would break: an export for other programs is finer than the server, by a column or a box.

    A new format is asked here by itself. The public bird of the control shows that it would tell.
    """
    places = (place for world in (HERE, THERE) for place in world[:3])
    limits_of: list[dict[str, Any]] = [
        {},
        {"flags": "all"},
        *({"bbox": [lon - 0.02, lat - 0.02, lon + 0.02, lat + 0.02]} for lat, lon in places),
    ]
    for form, limits in itertools.product(get_args(Format), limits_of):
        found = {}
        for world, bundle in exported.items():
            output = tmp_path / world
            export_bundle(bundle, output, form, Silent(), limits=limits)
            found[world] = output.read_bytes()
        assert found["here"] == found["there"], (form, limits)
        if "bbox" not in limits:
            assert found["here"] != found["control"], form


def test_no_report_tells(exported: dict[str, Path], tmp_path: Path) -> None:
    """Would break: the map of what came in, or a count in the report, is finer than the server."""
    found = {}
    for world, root in exported.items():
        report, cells = report_of(root, tmp_path)
        # The name of a folder and the size of a database file say nothing of the rows.
        found[world] = (
            msgspec.structs.replace(report, bundle="", size_bytes=0),
            cells.rows.tolist(),
        )
    assert found["here"] == found["there"]
    assert found["here"] != found["control"]


def test_an_export_says_what_was_done_to_a_place(exported: dict[str, Path], tmp_path: Path) -> None:
    """Would break: who gets the file takes a grid point for the place of a frog."""
    output = tmp_path / "out.csv"
    export_bundle(exported["here"], output, "csv", Silent(), limits={"flags": "all"})
    with output.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if "urn:test" not in row["occurrenceID"]]
    for row in rows:
        remarks = (row["informationWithheld"], row["dataGeneralizations"])
        if row["scientificName"] == FROG[-1]:
            assert (row["decimalLatitude"], row["decimalLongitude"]) == ("10.4", "-84")
            assert remarks[1].startswith("Coordinates generalised")
        elif row["scientificName"] == WHEATEAR[-1]:
            assert row["decimalLatitude"] == row["coordinateUncertaintyInMeters"] == ""
            assert remarks[0].startswith("Coordinates withheld")
        elif row["occurrenceID"].startswith("urn:obscured"):
            assert remarks[1].startswith("Location blurred")
        else:
            assert remarks == ("", "")
    assert len(rows) > 20


def test_cursors_walk_the_same_pages(here: Client, there: Client) -> None:
    """Would break: the order or the number of hits on a page tells a place."""
    box = {"bbox": [-84.05, 10.35, -83.95, 10.40], "flags": "all"}
    for filter_ in ({"flags": "all"}, box):
        pages = []
        for client in (here, there):
            cursor, seen = None, []
            while True:
                body = {"text": "wild", "limit": 7, "filter": filter_, "cursor": cursor}
                page = client.post("/v1/search", json=body).json()
                seen.append([hit["image_id"] for hit in page["hits"]])
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            pages.append(seen)
        assert pages[0] == pages[1]


def test_hits_say_what_was_done_to_their_place(here: Client) -> None:
    """Would break: a rounded place looks like an exact one, or a withheld one like a lost one."""
    for hit in hits_of(here):
        if not hit["occurrence_id"].startswith(("urn:rounded", "urn:withheld", "urn:obscured")):
            continue
        name = hit["taxon"]["scientific_name"]
        assert hit["data_generalizations"]
        if name == FROG[-1]:
            assert (hit["lat"], hit["lon"]) == (10.4, -84.0)
            assert hit["uncertainty_m"] >= 15_691
            assert "location_generalised" in hit["flags"]
        elif name == WHEATEAR[-1]:
            assert hit["lat"] is hit["lon"] is hit["cell"] is hit["uncertainty_m"] is None
            assert "location_withheld" in hit["flags"]
        else:
            assert (hit["lat"], hit["lon"]) == (12.5, -83.5)
            assert "location_obscured" in hit["flags"]


def rows_of(path: Path) -> dict[str, list[Any]]:
    """Every table of a DuckDB file, row by row; of a copy, since the file itself is served."""
    with TemporaryDirectory() as folder:
        copy = shutil.copy(path, folder)
        with duckdb.connect(copy, read_only=True) as connection:
            names = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
            return {name: connection.execute(f"FROM {name}").fetchall() for name in names}


def test_no_file_of_the_bundle_differs(bundles: dict[str, Path]) -> None:
    """Would break: who downloads a bundle finds in a file what the server does not tell."""
    here, there = bundles["here"], bundles["there"]
    names = sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file())
    assert names == sorted(
        str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()
    )
    for name in names:
        if name.endswith(".duckdb"):
            assert rows_of(here / name) == rows_of(there / name)
        elif name.startswith("manifest"):
            # Identity and checksums of the catalog stand for input files, with their dates.
            left, right = ((root / name).read_text() for root in (here, there))
            assert len(left.splitlines()) == len(right.splitlines())
        else:
            assert (here / name).read_bytes() == (there / name).read_bytes(), name


def texts_of(bundle: Path) -> str:
    """All that the bundle's tables hold, as text."""
    tables = [pq.read_table(path) for path in sorted(bundle.rglob("*.parquet"))]
    catalog = rows_of(next(bundle.glob("catalog-*.duckdb")))
    return str([table.to_pylist() for table in tables]) + str(catalog)


def test_no_exact_coordinate_stands_anywhere(bundles: dict[str, Path]) -> None:
    """Would break: a column that nobody thought of, a reject or a file's name keeps a place."""
    for name, places in (("here", HERE), ("there", THERE)):
        text = texts_of(bundles[name])
        # The public bird of these worlds is found where the frog of the first one is.
        hidden = [places.withheld, places.obscured, *((places.rounded,) if name == "there" else ())]
        for (latitude, longitude), number in itertools.product(hidden, range(RECORDS)):
            assert f"{abs(latitude + number * 0.0011):.5f}" not in text
            assert f"{abs(longitude - number * 0.0013):.5f}" not in text


def test_hosted_photos_carry_no_place(bundles: dict[str, Path]) -> None:
    """Would break: the place stands in the EXIF of the copy that the atlas serves."""
    pictures = next(bundles["here"].rglob(PICTURES)).read_bytes()
    assert pictures.count(b"\xff\xd8\xff") > 10
    assert b"Exif" not in pictures
    assert b"found at" not in pictures
    assert not re.search(rb"-?\d{2}\.\d{4}", pictures)


def test_a_real_photo_loses_its_position(shared_data: Path) -> None:
    """Would break: a phone's photo of a frog keeps the garden that it was taken in."""
    original = (shared_data / "frogpix-ccby" / "Leuc1.jpg").read_bytes()
    assert Image.open(BytesIO(original)).getexif().get_ifd(0x8825)
    copy, _ = hosted_copy(read_picture(original, max_pixels=10**8), 1024)
    assert not Image.open(BytesIO(copy)).getexif()
    assert b"Exif" not in copy
    assert b"<x:xmpmeta" not in copy
