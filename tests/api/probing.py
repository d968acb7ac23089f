"""Every way to ask the server that its OpenAPI document names, with values that look closely.

A parameter or a field that this module has no values for is an error: whoever adds one says here
how to ask for a place with it.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import h3
import msgspec
from litestar import Litestar
from litestar.testing import TestClient

from atlas.api.search_requests import Search, SeasonsAsked
from atlas.search.filters import Filter

Client = TestClient[Litestar]
Document = Mapping[str, Any]
# Times and numbers of a request differ from call to call, whatever is stored.
_OF_THE_CALL = frozenset({"took_ms", "request_id"})
METHODS = ("get", "post")
TEXTS = ["wild organism", "a frog in Costa Rica in 2020"]
LAYERS = ("occurrence", "richness", "effort", "completeness", "gaps")
# Parameters that tell places by difference, so they are asked together with a taxon, too.
_NARROWING = frozenset({"bbox", "cells", "polygon", "resolution", "max_uncertainty_m", "from"})


class Request(NamedTuple):
    """One request, and what identifies it in a report."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    accept: str = "*/*"
    body: str = ""
    photo: bytes = b""

    def answer(self, client: Client) -> tuple[int, str, object]:
        """Status, media type and content, without what differs from call to call."""
        keywords: dict[str, Any] = {"params": dict(self.params), "headers": {"accept": self.accept}}
        if self.photo:
            keywords["files"] = {"file": ("photo.jpg", self.photo, "image/jpeg")}
            keywords["data"] = json.loads(self.body) if self.body else {}
        elif self.method == "post":
            keywords["content"] = self.body
            keywords["headers"]["content-type"] = "application/json"
        found = client.request(self.method, self.path, follow_redirects=False, **keywords)
        kind = found.headers.get("content-type", "").split(";")[0]
        if kind.endswith("json"):
            return found.status_code, kind, _lasting(found.json())
        return found.status_code, kind, found.content + found.headers.get("location", "").encode()


def _lasting(value: object) -> object:
    if isinstance(value, dict):
        return {key: _lasting(one) for key, one in value.items() if key not in _OF_THE_CALL}
    return [_lasting(one) for one in value] if isinstance(value, list) else value


class Look(NamedTuple):
    """Where to look: taxa, image ids, and two points that must not be told apart."""

    taxa: tuple[int, ...]
    images: tuple[str, ...]
    here: tuple[float, float]
    there: tuple[float, float]

    def boxes(self) -> list[tuple[float, float, float, float]]:
        """Boxes (west, south, east, north) around each point, and half worlds between them."""
        (lat, lon), (other_lat, other_lon) = self.here, self.there
        middle_lat, middle_lon = (lat + other_lat) / 2, (lon + other_lon) / 2
        return [
            (lon - 0.003, lat - 0.003, lon + 0.003, lat + 0.003),
            (other_lon - 0.003, other_lat - 0.003, other_lon + 0.003, other_lat + 0.003),
            (-180.0, -90.0, 180.0, middle_lat),
            (-180.0, -90.0, middle_lon, 90.0),
            (lon - 0.2, lat - 0.2, lon + 0.2, lat + 0.2),
        ]

    def cells(self) -> list[str]:
        """The cells of both points, from resolution 2 to 7."""
        points = (self.here, self.there)
        return [
            h3.latlng_to_cell(*point, resolution) for point in points for resolution in range(2, 8)
        ]

    def polygons(self) -> list[dict[str, Any]]:
        """The boxes as polygons."""
        return [
            {
                "type": "Polygon",
                "coordinates": [
                    [[west, south], [east, south], [east, north], [west, north], [west, south]]
                ],
            }
            for west, south, east, north in self.boxes()
        ]

    def tiles(self) -> list[tuple[int, int, int]]:
        """The tiles (z, x, y) of both points, from the world down to z 13."""
        found = []
        for z, (lat, lon) in itertools.product(range(14), (self.here, self.there)):
            y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
            found.append((z, int((lon + 180) / 360 * 2**z), int(y * 2**z)))
        return sorted(set(found))


def values_of(parameter: Document, look: Look) -> list[str]:
    """Values to ask a query parameter with. KeyError for one that nobody has thought of."""
    name, schema = parameter["name"], parameter["schema"]
    kinds = [schema, *schema.get("oneOf", ()), *schema.get("anyOf", ())]
    if any(kind.get("type") == "boolean" for kind in kinds):
        return ["true", "false"]
    if enum := next((kind["enum"] for kind in kinds if "enum" in kind), None):
        return [str(value) for value in enum if value is not None]
    boxes = [",".join(map(str, box)) for box in look.boxes()]
    known: dict[str, list[str]] = {
        "text": TEXTS,
        "without": ["taxon"],
        "q": ["Agalychnis", "red"],
        "taxon": [str(taxon) for taxon in look.taxa],
        "bbox": boxes,
        "cells": look.cells(),
        "polygon": [json.dumps(shape) for shape in look.polygons()[:2]],
        "resolution": ["2", "4", "7"],
        "from": ["2020-02-01"],
        "to": ["2020-02-28"],
        "observed_from": ["2020-02-01"],
        "observed_to": ["2020-02-28"],
        "months": ["1", "2,3"],
        "licences": ["CC0-1.0"],
        "sources": ["tiny"],
        "max_uncertainty_m": ["1", "200", "15690", "15717", "20000", "30000"],
        "limit": ["1", "200"],
        "flags": ["all", "default"],
        "diversify": ["species", "place"],
        "cursor": [],
        "children": ["1", "50"],
        "near": ["river:500", "coast:200000"],
        "around": [
            f"{lat}:{lon}:{within_m}"
            for lat, lon in (look.here, look.there)
            for within_m in (500, 16_000, 30_000)
        ],
        "around_any": [f"{look.here[0]}:{look.here[1]}:16000,{look.there[0]}:{look.there[1]}:500"],
        "country": ["CR", "BR"],
        "region": ["CR-A"],
        "habitat": ["forest"],
        "min_elevation_m": ["100"],
        "max_elevation_m": ["100"],
        "zoom": ["2", "9"],
        "recall": ["1"],
        "space": ["tiny"],
        "state": ["no_data", "insufficient", "under_sampled", "well_sampled"],
        "width": ["200"],
        "group": [str(taxon) for taxon in look.taxa],
        "rank": ["species"],
        "language": ["en", "es"],
    }
    return known[name]


def paths_of(template: str, look: Look) -> list[str]:
    """Every path that a template of the document stands for."""
    found = [template]
    for name, values in {
        "{taxon_id}": [str(taxon) for taxon in look.taxa],
        "{image_id}": list(look.images),
        "{cell}": look.cells(),
        "{layer}": list(LAYERS),
        "{z}/{x}/{y}": ["/".join(map(str, tile)) for tile in look.tiles()],
    }.items():
        if name in template:
            found = [path.replace(name, value) for path in found for value in values]
    return found


def requests_of(
    path: str, method: str, operation: Document, look: Look, photo: bytes
) -> Iterator[Request]:
    """Requests that use every parameter of an operation alone, and the narrow ones with a taxon."""
    if method == "post":
        yield from _posts(path, look, photo)
        return
    parameters = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
    values = {one["name"]: values_of(one, look) for one in parameters}
    needed = {one["name"]: values[one["name"]][0] for one in parameters if one.get("required")}
    media = list(operation["responses"].get("200", {}).get("content", {"*/*": {}}))
    taxa = [{"taxon": taxon} for taxon in values.get("taxon", ())]
    paths = paths_of(path, look)
    for concrete, accept, taxon in itertools.product(paths, media, [{}, *taxa]):
        yield Request(method, concrete, tuple((needed | taxon).items()), accept)
    if media == ["image/png"]:  # drawing takes a second
        values = {name: some[:1] for name, some in values.items()}
    # Of many paths, such as tiles of all zooms, only some are asked in every way.
    for concrete in paths[:: max(1, len(paths) // 12)]:
        for name, value in [(name, value) for name, some in values.items() for value in some]:
            asked = needed | {name: value}
            for taxon in taxa if name in _NARROWING else [{}]:
                yield Request(method, concrete, tuple((asked | taxon).items()), media[0])


def filters(look: Look) -> list[dict[str, Any]]:
    """Filters with each field alone, and each pair that may be used to tell places by difference.

    KeyError for a field of the filter that nobody has thought of.
    """
    single: dict[str, list[Any]] = {
        "taxon": list(look.taxa),
        "cells": [[cell] for cell in look.cells()],
        "bbox": [list(box) for box in look.boxes()],
        "polygon": list(look.polygons()),
        "observed": [{"from": "2020-02-01", "to": "2020-02-28"}],
        "months": [[1], [2, 3]],
        "licences": [["CC0-1.0"]],
        "sources": [["tiny"]],
        "max_uncertainty_m": [1.0, 200.0, 15_690.0, 15_717.0, 20_000.0, 30_000.0],
        "flags": ["all"],
        "near": [[{"feature": "river", "within_m": 500.0}]],
        "around": [
            [{"latitude": lat, "longitude": lon, "within_m": within_m}]
            for lat, lon in (look.here, look.there)
            for within_m in (500.0, 16_000.0, 30_000.0)
        ],
        "around_any": [
            [
                {"latitude": lat, "longitude": lon, "within_m": 16_000.0}
                for lat, lon in (look.here, look.there)
            ]
        ],
        "country": [["CR"], ["BR"]],
        "region": [["CR-A"]],
        "habitat": [["forest"]],
        "elevation": [{"min_m": 100.0}, {"max_m": 100.0}],
        "layers": [{"river": {"max": 500.0}}],
    }
    names = [field.encode_name for field in msgspec.structs.fields(Filter)]
    every = [{name: value} for name in names for value in single[name]]
    places = [{n: v} for n in ("bbox", "cells", "polygon", "around") for v in single[n]]
    with_taxon = [{"taxon": taxon, "flags": "all"} | one for taxon in look.taxa for one in places]
    narrow = [
        {"bbox": look.boxes()[4], "max_uncertainty_m": m} for m in single["max_uncertainty_m"]
    ]
    return [*every, *with_taxon, *narrow]


def _posts(path: str, look: Look, photo: bytes) -> Iterator[Request]:
    """Searches with every field of the body and of the filter; a cursor is followed by others."""
    if path == "/v1/search/image":
        for one in filters(look):
            form = {"filter": json.dumps(one), "limit": 200}
            yield Request("post", path, body=json.dumps(form), photo=photo)
        return
    if path == "/v1/interpret":
        yield from (Request("post", path, body=json.dumps({"text": text})) for text in TEXTS)
        return
    fields = {
        "/v1/search": msgspec.structs.fields(Search),
        "/v1/search/seasons": msgspec.structs.fields(SeasonsAsked),
    }[path]
    searches = path == "/v1/search"
    bodies: dict[str, list[Any]] = {
        "text": TEXTS,
        "interpret": [False],
        "place": ["soft", "off"],
        "without": [[{"kind": "taxon"}]],
        "image_id": list(look.images),
        "vector": [[1.0] * 24],
        "space": ["tiny"],
        "filter": filters(look),
        "limit": [1, 200],
        "cursor": [],
        "exact": [True],
        "recall": [1.0],
        "diversify": ["species", "place"],
        "collapse": [True],
    }
    whole: dict[str, Any] = {"limit": 200} if searches else {}
    for field in fields:
        for value in bodies[field.encode_name]:
            asked = whole | {field.encode_name: value}
            if searches and not {"text", "image_id", "vector"} & set(asked):
                asked |= {"text": TEXTS[0], "interpret": False}
            yield Request("post", path, body=json.dumps(asked))


def operations(document: Document) -> list[tuple[str, str, Document]]:
    """Every path with its method and operation."""
    return [
        (path, method, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def differences(requests: Sequence[Request], one: Client, other: Client) -> list[Request]:
    """The requests that two servers answer differently."""
    return [request for request in requests if request.answer(one) != request.answer(other)]
