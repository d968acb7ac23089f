"""Small tables and pictures for the tests of sources and first stages."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
from PIL import Image

from indexer.sources import SourcePart
from indexer.sources.folder import FolderSource

RANKS = ("kingdom", "genus", "species")

FolderMaker = Callable[..., FolderSource]


def sole(parts: Sequence[SourcePart]) -> SourcePart:
    """The only part of a source."""
    (part,) = parts
    return part


def unchanged(records: pa.Table) -> pa.Table:
    """Records as their source gave them, neither flagged nor hidden."""
    return records


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    """A plain CSV file with a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def draw(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> None:
    """A picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
