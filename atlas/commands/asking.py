"""One search from the command line: opens the atlas, asks as the API does, prints the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from atlas.api.params import parse_box, to_search
from atlas.api.schemas import Hit, SearchAnswer
from atlas.app import Atlas, open_atlas
from atlas.errors import InvalidQuery
from atlas.settings import Settings


async def search_once(
    settings: Settings, asked: Mapping[str, Any], photo: bytes | None
) -> SearchAnswer:
    """Open the atlas, answer one search, close it. `asked` are the options of the command."""
    atlas = open_atlas(settings)
    async with atlas.running():
        limits = {
            "taxon": find_taxon(atlas, asked["taxon"]),
            "bbox": _box(asked["bbox"]),
            "observed": _given({"from": asked["first"], "to": asked["last"]}) or None,
            "months": asked["months"].split(",") if asked["months"] else None,
        }
        plain = {name: asked[name] for name in ("text", "space", "limit", "exact")}
        search = to_search({**_given(plain), "filter": _given(limits)})
        if photo is not None:
            return await atlas.questions.ask_photo(photo, search)
        return await atlas.questions.ask(search)


def find_taxon(atlas: Atlas, written: str | None) -> int | None:
    """The taxon id that a person wrote, or that of the taxon so named; InvalidQuery if none."""
    if written is None or written.isdecimal():
        return None if written is None else int(written)
    found = atlas.names.complete(written, 5)
    exact = [match for match in found if match.match == "exact"]
    if exact:
        return exact[0].taxon_id
    meant = ", ".join(f"{match.name} ({match.taxon_id})" for match in found)
    raise InvalidQuery(
        "taxon", f"no taxon is named {written!r}{'; did you mean ' if meant else ''}{meant}"
    )


def print_answer(answer: SearchAnswer, *, as_json: bool) -> None:
    """Print the hits as a table, or the whole answer as JSON."""
    console = Console(soft_wrap=as_json)
    if as_json:
        console.print_json(msgspec.json.encode(answer).decode())
        return
    table = Table(
        "score", "taxon", "common name", "place", "day", "licence, rights holder", "photo"
    )
    for hit in answer.hits:
        table.add_row(
            f"{hit.score:.3f}",
            hit.taxon.scientific_name,
            hit.taxon.common_name or "",
            _place(hit),
            hit.observed_on or "",
            ", ".join(part for part in (hit.licence, hit.rights_holder) if part),
            str(hit.image_id),
        )
    console.print(table)
    console.print(
        f"{len(answer.hits)} of {answer.matching} photos that pass the filter "
        f"({answer.held_back} held back for quality); path {answer.plan.path}, "
        f"{answer.plan.rows_scored} rows scored in {answer.took_ms.search:.1f} ms, "
        f"question read in {answer.took_ms.encode:.1f} ms"
    )


def _place(hit: Hit) -> str:
    if hit.lat is None or hit.lon is None:
        return ""
    known = f" ±{hit.uncertainty_m:.0f} m" if hit.uncertainty_m is not None else ""
    return f"{hit.lat:.3f}, {hit.lon:.3f}{known}"


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    box = parse_box(text)
    return None if box is None else (box.west, box.south, box.east, box.north)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
