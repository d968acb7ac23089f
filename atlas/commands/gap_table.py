"""Gaps from the command line: asks as the API does, prints a table or writes a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atlas.api.gap_forms import gap_features, gap_table
from atlas.api.gap_questions import AskedGaps
from atlas.api.gap_schemas import GapAnswer
from atlas.app import open_atlas
from atlas.commands.asking import find_taxon
from atlas.errors import InvalidQuery
from atlas.settings import Settings

FORMS = (".csv", ".geojson", ".json")


async def gaps_once(settings: Settings, asked: Mapping[str, Any]) -> GapAnswer:
    """Open the atlas, rank gaps once, close it. `asked` are the options of the command."""
    atlas = open_atlas(settings)
    async with atlas.running():
        polygon = asked["polygon"]
        return await atlas.gap_questions.rank(
            AskedGaps(
                taxon=find_taxon(atlas, asked["taxon"]),
                text=asked["text"],
                bbox=asked["bbox"],
                polygon=None if polygon is None else polygon.read_text(encoding="utf-8"),
                resolution=asked["resolution"],
                states=tuple(asked["state"]),
                limit=asked["limit"],
            )
        )


def check_output(path: Path | None) -> None:
    """InvalidQuery where no file of this extension can be written: before anything is read."""
    if path is not None and path.suffix.lower() not in FORMS:
        raise InvalidQuery("output", f"must end in {', '.join(FORMS)}, not {path.suffix!r}")


def write_gaps(answer: GapAnswer, path: Path) -> None:
    """Write a file in the form that its extension names."""
    form = path.suffix.lower()
    if form == ".csv":
        content = gap_table(answer)
    elif form == ".geojson":
        content = msgspec.json.encode(gap_features(answer))
    else:
        content = msgspec.json.encode(answer)
    path.write_bytes(content)


def print_gaps(answer: GapAnswer) -> None:
    """Print the question as it was understood and the cells, best first, with their reasons."""
    console = Console(highlight=False)
    console.print(answer.question.words, markup=False)
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
