"""Gaps from the command line: asks as the API does, prints a table or writes a file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atlas.api.gap_forms import gap_features, gap_table
from atlas.api.gap_questions import AskedGaps, GapQuestions, shape_of
from atlas.api.gap_schemas import GapAnswer
from atlas.catalog import Catalog
from atlas.commands.mapping import open_maps
from atlas.errors import InvalidQuery
from atlas.settings import Settings
from atlas.species.gap_picture import gap_sheet
from atlas.species.map_drawing import Sheet, draw_png
from atlas.species.maps import Maps
from atlas.species.names import TaxonNames, taxon_named

FORMS = (".csv", ".geojson", ".json", ".png")


class FoundGaps(NamedTuple):
    """An answer, and the same as a picture to draw."""

    answer: GapAnswer
    sheet: Sheet


def gaps_once(settings: Settings, asked: Mapping[str, Any]) -> FoundGaps:
    """Open what is needed, rank gaps once, close it. `asked` are the options of the command."""
    if asked["text"] is not None:
        return asyncio.run(_of_words(settings, asked))
    # Words need the encoder and the index; without them the catalog is enough, and opens at once.
    with open_maps(settings) as (bundle, catalog, maps):
        questions = GapQuestions.of(catalog, maps, settings.gaps, bundle=bundle)
        return asyncio.run(_found(questions, catalog, maps, TaxonNames(catalog), asked))


async def _of_words(settings: Settings, asked: Mapping[str, Any]) -> FoundGaps:
    from atlas.app import open_atlas  # noqa: PLC0415 - slow

    atlas = open_atlas(settings)
    async with atlas.running():
        return await _found(atlas.gap_questions, atlas.catalog, atlas.maps, atlas.names, asked)


async def _found(
    questions: GapQuestions,
    catalog: Catalog,
    maps: Maps,
    names: TaxonNames,
    asked: Mapping[str, Any],
) -> FoundGaps:
    polygon, taxon = asked["polygon"], asked["taxon"]
    question = AskedGaps(
        taxon=None if taxon is None else taxon_named(names, taxon),
        text=asked["text"],
        bbox=asked["bbox"],
        polygon=None if polygon is None else polygon.read_text(encoding="utf-8"),
        resolution=asked["resolution"],
        states=tuple(asked["state"]),
        limit=asked["limit"],
    )
    answer, surveyed = await questions.map(question)
    credit = maps.pictures.credit(catalog.taxon(answer.target_group.taxon_id))
    return FoundGaps(
        answer,
        gap_sheet(
            surveyed,
            shape=shape_of(question),
            notes=[*maps.pictures.demonstration_note(), credit],
        ),
    )


def check_output(path: Path | None) -> None:
    """InvalidQuery where no file of this extension can be written: before anything is read."""
    if path is not None and path.suffix.lower() not in FORMS:
        raise InvalidQuery("output", f"must end in {', '.join(FORMS)}, not {path.suffix!r}")


def write_gaps(found: FoundGaps, path: Path, width: int) -> None:
    """Write a file in the form that its extension names; a picture is `width` pixels wide."""
    form = path.suffix.lower()
    if form == ".csv":
        content = gap_table(found.answer)
    elif form == ".geojson":
        content = msgspec.json.encode(gap_features(found.answer))
    elif form == ".png":
        content = draw_png(found.sheet, width)
    else:
        content = msgspec.json.encode(found.answer)
    path.write_bytes(content)


def print_gaps(answer: GapAnswer) -> None:
    """Print the question as it was understood and the cells, best first, with their reasons."""
    console = Console(highlight=False)
    console.print(answer.question.words, markup=False)
    if answer.notice:
        console.print(answer.notice, markup=False)
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("cell", "centre"):
        table.add_column(name, no_wrap=True)
    for name in ("score", "new species", "visits", "species"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("why")
    for gap in answer.gaps:
        table.add_row(
            gap.cell,
            f"{gap.latitude:.2f}, {gap.longitude:.2f}",
            f"{gap.score.score:.2f}",
            f"{gap.score.expected_new_species:.2f}",
            f"{gap.sampling.visits:,}",
            f"{gap.sampling.species:,}",
            gap.state,
            escape(gap.reason),
        )
    console.print(table)
    cells = answer.cells
    console.print(
        f"{len(answer.gaps)} of {answer.matching:,} cells, as of {answer.as_of}. In the area: "
        f"{cells.no_data:,} without data, {cells.insufficient:,} insufficient, "
        f"{cells.under_sampled:,} under-sampled, {cells.well_sampled:,} well sampled."
    )
    console.print(f"The group lives on {answer.lives.on}.")
    if answer.coarse_records:
        console.print(f"{answer.coarse_records:,} records are too uncertain for these cells.")
    for held in answer.held_back:
        console.print(f"{held.records:,} records held back: {held.meaning}", markup=False)
