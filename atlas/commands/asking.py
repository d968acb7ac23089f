"""One search from the command line: opens the atlas, asks as the API does, prints the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atlas.api.atlas_schemas import AtlasDescription
from atlas.api.params import parse_box, spans_off, to_search
from atlas.api.schemas import Interpretation
from atlas.api.search_schemas import Hit, SearchAnswer
from atlas.app import Atlas, open_atlas
from atlas.settings import Settings
from atlas.species.names import taxon_named


async def search_once(
    settings: Settings, asked: Mapping[str, Any], photo: bytes | None
) -> tuple[SearchAnswer, AtlasDescription]:
    """Open the atlas, answer one search, close it. `asked` are the options of the command."""
    atlas = open_atlas(settings)
    async with atlas.running():
        limits = {
            "taxon": find_taxon(atlas, asked["taxon"]),
            "bbox": _box(asked["bbox"]),
            "observed": _given({"from": asked["first"], "to": asked["last"]}) or None,
            "months": asked["months"].split(",") if asked["months"] else None,
        }
        plain = {
            name: asked[name]
            for name in (
                "text",
                "space",
                "limit",
                "exact",
                "recall",
                "diversify",
                "collapse",
                "place",
            )
        }
        plain |= {"interpret": not asked["as_typed"], "without": spans_off(asked["without"])}
        search = to_search({**_given(plain), "filter": _given(limits)})
        if photo is not None:
            return await atlas.questions.ask_photo(photo, search), atlas.description
        return await atlas.questions.ask(search), atlas.description


def find_taxon(atlas: Atlas, written: str | None) -> int | None:
    """The taxon id that a person wrote, or that of the taxon so named; InvalidQuery if none."""
    return None if written is None else taxon_named(atlas.names, written)


def print_answer(answer: SearchAnswer, description: AtlasDescription, *, as_json: bool) -> None:
    """Print the hits as a table, or the whole answer as JSON."""
    console = Console(soft_wrap=as_json, highlight=False)
    if as_json:
        console.print_json(msgspec.json.encode(answer).decode())
        return
    made_up = " (a demonstration: its records are made up)" if description.demonstration else ""
    console.print(f"{description.title}{made_up}", markup=False)
    if answer.interpretation is not None and answer.interpretation.spans:
        console.print(_understood(answer.interpretation))
        if answer.interpretation.notice:
            console.print(f"Notice: {answer.interpretation.notice}.", markup=False)
    table = Table(box=box.SIMPLE, pad_edge=False)
    score = "score" if len(answer.spaces) == 1 else "fused score"
    for name in (score, "taxon", "place", "day", "photo by"):
        table.add_column(name, no_wrap=name in {score, "day"})
    for hit in answer.hits:
        names = [hit.taxon.scientific_name, hit.taxon.common_name]
        credit = [hit.rights_holder, hit.licence]
        table.add_row(
            f"{hit.score:.3f}" if len(answer.spaces) == 1 else _fused(hit),
            escape("\n".join(name for name in names if name)),
            _place(hit),
            (hit.observed_on or "").replace("/", "\n"),
            escape("\n".join(part for part in credit if part)),
        )
    console.print(table)
    unjudged = f", {answer.unjudged} whose place cannot be judged" if answer.layers else ""
    console.print(
        f"{len(answer.hits)} of {answer.matching} photos that pass the filter; "
        f"{answer.held_back} more held back for quality{unjudged}.\n"
        f"Path {answer.plan.path}: {answer.plan.rows_scored} rows scored in "
        f"{answer.took_ms.search:.1f} ms, question read in {answer.took_ms.encode:.1f} ms."
    )
    for layer in answer.layers:
        console.print(
            f"{layer.name}: {layer.title}. {layer.citation} ({layer.licence})", markup=False
        )


def _understood(interpretation: Interpretation) -> Table:
    """What the words were read as, and what came of it."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("understood", "as", "then"):
        table.add_column(name)
    for span in interpretation.spans:
        table.add_row(
            escape(span.words),
            escape(f"{span.kind}: {span.note or _meaning(span.value)}"),
            "limits the search" if span.applied else escape(f"not applied: {span.reason}"),
        )
    table.add_row(escape(interpretation.text), "looks", "given to the encoder")
    return table


def _meaning(value: Mapping[str, Any]) -> str:
    """A span's value in words: `country CR`, `from 2015-01-01`."""

    def written(part: object) -> str:
        return ", ".join(map(str, part)) if isinstance(part, list | tuple) else str(part)

    return "; ".join(f"{name.replace('_', ' ')} {written(part)}" for name, part in value.items())


def print_plan(answer: SearchAnswer) -> None:
    """Print what was done in each segment and why; JSON holds the same under `plan`."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("segment")
    table.add_column("path")
    for name in ("passing", "lists", "codes", "scored"):
        table.add_column(name, justify="right")
    table.add_column("why")
    for segment in answer.plan.segments:
        counts = (segment.passing, segment.lists, segment.codes, segment.rows_scored)
        table.add_row(
            segment.segment, segment.path, *(f"{count:,}" for count in counts), segment.why
        )
    Console(highlight=False).print(table)


def _fused(hit: Hit) -> str:
    """The fused score, and below it the hit's rank in each space."""
    ranks = (f"{place.space} {'-' if place.rank is None else place.rank}" for place in hit.spaces)
    return "\n".join((f"{hit.score:.4f}", *ranks))


def _place(hit: Hit) -> str:
    if hit.lat is None or hit.lon is None:
        return ""
    known = f"\n±{hit.uncertainty_m:.0f} m" if hit.uncertainty_m is not None else ""
    return f"{hit.lat:.3f}, {hit.lon:.3f}{known}"


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    box = parse_box(text)
    return None if box is None else (box.west, box.south, box.east, box.north)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
