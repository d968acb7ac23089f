"""The layers of a plan, made while its bundle is built, and of a bundle that rows are added to.

A layer that is finished is not made again when a build goes on. One thread.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.bundle import LAYERS
from atlas.bundle.files import atomic_write
from atlas.bundle.manifest import LayerEntry, encode_json, read_struct
from indexer.layers.make import LayerPlace, make_layer, source_of
from indexer.layers.section import LayerSection, section_of_package
from indexer.progress import Watcher
from indexer.work import parquet_writer

DESCRIPTION = "layer.json"
CELLS = "cells.parquet"
Segments = Sequence[tuple[str, Path]]


class LayerFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Layers for a manifest, and where their new files are now, by their path in the bundle."""

    entries: tuple[LayerEntry, ...] = ()
    files: dict[str, Path] = {}


def make_finished(
    section: LayerSection, segments: Segments, place: LayerPlace, watcher: Watcher
) -> LayerEntry:
    """The layer in `place.work`; made there, unless it is finished already."""
    described = place.work / DESCRIPTION
    if described.exists():
        return read_struct(described, LayerEntry)
    shutil.rmtree(place.work, ignore_errors=True)
    entry = make_layer(section, segments, place, watcher)
    # Written last, so it stands for the whole folder.
    atomic_write(described, encode_json(entry))
    return entry


def layers_of_build(
    sections: Sequence[LayerSection],
    segments: Segments,
    *,
    root: Path,
    work: Path,
    number: int,
    made_at: str,
    watcher: Watcher,
) -> LayerFiles:
    """The layers of a plan for all rows of the bundle with this number, in `work` or in place."""
    entries: list[LayerEntry] = []
    files: dict[str, Path] = {}
    for section in sections:
        folder = f"{section.name}-{number:06d}"
        final, unfinished = root / LAYERS / folder, work / folder
        place = LayerPlace(
            work=final if final.exists() else unfinished,
            folder=folder,
            cells=CELLS,
            made_at=made_at,
        )
        entries.append(make_finished(section, segments, place, watcher))
        files[f"{LAYERS}/{folder}"] = unfinished
    return LayerFiles(entries=tuple(entries), files=files)


def layers_with(
    base: Sequence[LayerEntry],
    sections: Sequence[LayerSection],
    added: Segments,
    *,
    root: Path,
    work: Path,
    number: int,
    watcher: Watcher,
) -> LayerFiles:
    """The layers of a bundle with values for the rows of added segments, too.

    Such values come from the same source: a package, or the file that a section of the plan
    names. Where that is not at hand the rows have no value, filters cannot judge them, and a note
    says so.
    """
    entries: list[LayerEntry] = []
    files: dict[str, Path] = {}
    for entry in base:
        section = _section_of(entry, sections)
        if section is None or source_of(section).fingerprint() != entry.fingerprint:
            lacks = "its file is not in the plan" if section is None else "its source has changed"
            watcher.note(
                f"layer {entry.name}: rows that are added have no value in it, for {lacks}; "
                f"`indexer layer add {entry.name}` makes it for all rows"
            )
            entries.append(entry)
            continue
        place = LayerPlace(
            work=work / entry.folder,
            folder=entry.folder,
            cells=f"cells-{number:06d}.parquet",
            made_at=entry.made_at,
        )
        made = make_finished(section, added, place, watcher)
        if (place.work / made.cells).exists():  # a stopped publish may have moved it already
            _merge_cells(root / LAYERS / entry.folder / entry.cells, place.work / made.cells)
        entries.append(
            msgspec.structs.replace(
                entry, cells=made.cells, segments=(*entry.segments, *made.segments)
            )
        )
        files |= _new_files(root / LAYERS / entry.folder, place.work, made)
    return LayerFiles(entries=tuple(entries), files=files)


def sources_of(sections: Sequence[LayerSection]) -> dict[str, str]:
    """What stands for the content of each layer's source, by the layer's name."""
    return {section.name: source_of(section).fingerprint() for section in sections}


def _section_of(entry: LayerEntry, sections: Sequence[LayerSection]) -> LayerSection | None:
    """How to make the layer again: as the plan says, or from its package."""
    named = next((section for section in sections if section.name == entry.name), None)
    found = named or section_of_package(entry)
    return None if found is None else msgspec.structs.replace(found, orders=entry.orders)


def _new_files(final: Path, work: Path, made: LayerEntry) -> dict[str, Path]:
    """Files that the added rows bring, moved already or not, by their path in the bundle."""
    inside = {made.cells}
    for folder in (work, final):
        for segment in made.segments:
            inside |= {f"{segment}/{path.name}" for path in (folder / segment).glob("*")}
    return {f"{LAYERS}/{final.name}/{name}": work / name for name in sorted(inside)}


def _merge_cells(before: Path, path: Path) -> None:
    """Put the cells of a layer's earlier state into the file of its new ones."""
    old, new = pq.read_table(before), pq.read_table(path)
    known = pa.compute.is_in(new["cell"], value_set=old["cell"].combine_chunks())
    both = pa.concat_tables([old, new.filter(pa.compute.invert(known))]).sort_by("cell")
    with parquet_writer(path, both.schema) as writer:
        writer.write_table(both)
