"""Asks a running demo atlas one question of each kind and judges the answers.

The judge reads the table that the atlas was built from and the species table; it shares no code
with the server.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import mapbox_vector_tile
from rich.console import Console
from rich.table import Table

from illustrated.place_questions import QUESTIONS, PlaceQuestion, Record
from illustrated.species import read_species

HEADLINE = "red-eyed frogs near rivers"
STAR = "Agalychnis callidryas"
CENTRAL_AMERICA = (-92.5, 7.0, -77.0, 18.5)
_OK, _NO_CONTENT = 200, 204
_PLACE_KINDS = frozenset({"near", "within", "elevation"})
Row = dict[str, str]


class Finding(NamedTuple):
    """One question, its answer in words, and what is wrong with it ("" when nothing is)."""

    question: str
    answer: str
    wrong: str


class Judge:
    """Asks one server; `rows` is the table that its atlas was built from."""

    def __init__(self, client: httpx.Client, photos: Path) -> None:
        """Read the table in `photos` and the species table."""
        self._client = client
        self._photos = photos
        with (photos / "records.csv").open(newline="", encoding="utf-8") as file:
            self._rows = list(csv.DictReader(file))
        self._species = {species.name: species for species in read_species()}

    def _get(self, path: str, **parameters: str | int) -> dict[str, Any]:
        answer = self._client.get(path, params=parameters)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def words(self) -> Finding:
        """Ten pictures for the headline question, all of frogs with red eyes."""
        answer = self._get("/v1/search", text=HEADLINE, limit=10)
        others = [
            hit["taxon"]["scientific_name"]
            for hit in answer["hits"]
            if not self._is_red_eyed_frog(hit["taxon"]["scientific_name"])
        ]
        wrong = f"not red-eyed frogs: {others}" if others else _unless(len(answer["hits"]) == 10)
        return Finding(f"words: {HEADLINE}", _named(answer), wrong)

    def _is_red_eyed_frog(self, name: str) -> bool:
        species = self._species.get(name)
        return species is not None and any(
            look.group == "frog" and look.accent == "red" for look in species.looks
        )

    def picture(self) -> Finding:
        """A photo of the atlas finds itself first."""
        row = next(
            row for row in self._rows if row["scientificName"] == STAR and row["license"] != ""
        )
        data = (self._photos / row["file"]).read_bytes()
        answer = self._client.post(
            "/v1/search/image", files={"file": ("photo.jpg", data, "image/jpeg")}
        )
        answer.raise_for_status()
        first = answer.json()["hits"][0]
        same = first["occurrence_id"] == row["occurrenceID"] and first["score"] > 0.999
        return Finding(
            f"picture: {row['file']}",
            f"{first['taxon']['scientific_name']}, score {first['score']:.4f}, "
            f"{first['occurrence_id']}",
            "" if same else f"expected {row['occurrenceID']} with a score above 0.999",
        )

    def stored_picture(self) -> Finding:
        """The stored picture of a hit asks for its like, and comes first itself."""
        hit = self._get("/v1/search", text="a blue butterfly", limit=1)["hits"][0]
        answer = self._client.post("/v1/search", json={"image_id": hit["image_id"], "limit": 5})
        answer.raise_for_status()
        first = answer.json()["hits"][0]
        return Finding(
            f"stored picture: {hit['image_id']}",
            _named(answer.json()),
            _unless(first["image_id"] == hit["image_id"]),
        )

    def place(self) -> Finding:
        """Frogs of Central America lie in Central America, and a full page of them is found."""
        west, south, east, north = CENTRAL_AMERICA
        box = ",".join(str(side) for side in CENTRAL_AMERICA)
        amphibia = self._get("/v1/taxa", q="Amphibia")["taxa"][0]["taxon_id"]
        answer = self._get("/v1/search", text="frog", bbox=box, taxon=amphibia, limit=20)
        outside = [
            hit
            for hit in answer["hits"]
            if not (west <= hit["lon"] <= east and south <= hit["lat"] <= north)
        ]
        full = len(answer["hits"]) == min(20, answer["matching"])
        return Finding(
            f"place: frogs in the box {box}",
            f"{answer['matching']} pictures match; {_named(answer)}",
            f"{len(outside)} outside" if outside else _unless(full and answer["matching"] > 0),
        )

    def place_in_words(self, question: PlaceQuestion) -> Finding:
        """Every hit lies where the question says, by its coordinates in the table."""
        answer = self._get("/v1/search", text=question.text, limit=200)
        by_id = {row["occurrenceID"]: row for row in self._rows}
        wrong = [
            hit["occurrence_id"]
            for hit in answer["hits"]
            if not question.holds(_located(by_id[hit["occurrence_id"]]))
        ]
        read = answer["interpretation"]
        limits = read["notice"] is None and all(
            span["applied"] for span in read["spans"] if span["kind"] in _PLACE_KINDS
        )
        said = f"{len(wrong)} elsewhere: {wrong[:3]}" if wrong else ""
        found = f"{answer['matching']} pictures match; {_named(answer)}" if answer["hits"] else ""
        return Finding(f"place: {question.text}", found, said or _unless(bool(found) and limits))

    def name(self) -> Finding:
        """A name with a typing error completes to its species."""
        taxa = self._get("/v1/taxa", q="Agalychnis calidryas")["taxa"]
        first = taxa[0]["scientific_name"] if taxa else ""
        return Finding("name: Agalychnis calidryas", first, _unless(first == STAR))

    def species_map(self) -> Finding:
        """The map of a species counts every placed record of the table once."""
        taxon = self._get("/v1/taxa", q=STAR)["taxa"][0]["taxon_id"]
        answer = self._get(f"/v1/taxa/{taxon}/distribution", resolution=0)
        counted = sum(cell["n"] for cell in answer["cells"])
        expected = len(
            {
                row["occurrenceID"]
                for row in self._rows
                if row["scientificName"] == STAR and _is_placed(row)
            }
        )
        effort = sum(cell["effort"]["n"] for cell in answer["cells"])
        return Finding(
            f"map: {STAR}",
            f"{counted} records in {len(answer['cells'])} cells, beside {effort} of "
            f"{answer['target_group']['scientific_name']}",
            "" if counted == expected else f"the table has {expected} placed records",
        )

    def tile(self) -> Finding:
        """A map tile decodes to cells where the species lives, and is empty where it does not."""
        taxon = self._get("/v1/taxa", q=STAR)["taxa"][0]["taxon_id"]
        here = self._client.get("/v1/tiles/occurrence/4/4/7", params={"taxon": taxon})
        nowhere = self._client.get("/v1/tiles/occurrence/4/13/2", params={"taxon": taxon})
        layers = mapbox_vector_tile.decode(here.content) if here.status_code == _OK else {}
        cells = sum(len(layer["features"]) for layer in layers.values())
        return Finding(
            "tile: 4/4/7",
            f"{cells} cells, {len(here.content)} bytes; Siberia: HTTP {nowhere.status_code}",
            _unless(cells > 0 and nowhere.status_code == _NO_CONTENT),
        )

    def refusal(self) -> Finding:
        """A question that cannot be answered is refused in words that name the field."""
        answer = self._client.get("/v1/search", params={"text": "frog", "limit": 0})
        problem = answer.json()
        return Finding(
            "refusal: limit=0",
            f"HTTP {answer.status_code}: {problem.get('detail')}",
            _unless(400 <= answer.status_code < 500 and "limit" in str(problem.get("field"))),
        )


def _named(answer: dict[str, Any]) -> str:
    names = [
        hit["taxon"]["common_name"] or hit["taxon"]["scientific_name"] for hit in answer["hits"]
    ]
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts.items())


def _unless(right: bool) -> str:
    return "" if right else "not as expected"


def _located(row: Row) -> Record:
    return Record(
        latitude=float(row["decimalLatitude"]),
        longitude=float(row["decimalLongitude"]),
        uncertainty_m=float(row["coordinateUncertaintyInMeters"]),
        month=int(row["eventDate"][5:7]),
    )


def _is_placed(row: Row) -> bool:
    try:
        latitude, longitude = float(row["decimalLatitude"]), float(row["decimalLongitude"])
    except ValueError:
        return False
    return abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude, longitude) != (0, 0)


def check_answers(address: str, photos: Path, console: Console) -> int:
    """Ask every kind of question, print the answers, and return how many are wrong."""
    with httpx.Client(base_url=address, timeout=30) as client:
        judge = Judge(client, photos)
        questions: tuple[Callable[[], Finding], ...] = (
            judge.words,
            judge.picture,
            judge.stored_picture,
            judge.place,
            *(partial(judge.place_in_words, question) for question in QUESTIONS),
            judge.name,
            judge.species_map,
            judge.tile,
            judge.refusal,
        )
        findings = [question() for question in questions]
    table = Table("question", "answer", "", show_lines=True)
    for finding in findings:
        table.add_row(finding.question, finding.answer, finding.wrong or "right")
    console.print(table)
    wrong = sum(bool(finding.wrong) for finding in findings)
    console.print(f"{len(findings) - wrong} of {len(findings)} answers are right")
    return wrong
