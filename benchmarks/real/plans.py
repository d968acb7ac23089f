"""Writes the Darwin Core tables and build plans that the real files are built from.

Knows the plan's sections, nothing of any data set. Pure but for the files it is told to write.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A data set ready to be built: its plan, and what a person should know of it.

    `rows` are the rows of the data set's own table; `notes` are lines for the report.
    """

    name: str
    title: str
    plan: Path
    rows: int
    notes: tuple[str, ...]


def write_table(path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> None:
    """Write rows as UTF-8 CSV with a header; a key that is not a column is an error."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def write_plan(path: Path, sections: Mapping[str, Any]) -> Path:
    """Write a plan; a list of mappings becomes an array of tables."""
    lines: list[str] = []
    for name, content in sections.items():
        tables = content if isinstance(content, list) else [content]
        header = f"[[{name}]]" if isinstance(content, list) else f"[{name}]"
        for table in tables:
            lines += [header, *(f"{key} = {_toml(value)}" for key, value in table.items()), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _toml(value: object) -> str:
    """A TOML value; text without control characters is written alike in JSON and in TOML."""
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str | int | float | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"a plan holds no {type(value).__name__}")


def picture_plan(
    folder: Path,
    *,
    title: str,
    description: str,
    source: Mapping[str, Any],
    model: str,
    host: Sequence[str],
    max_reject_share: float,
) -> Path:
    """Write `folder`/plan.toml for one folder source; the bundle goes to `folder`/bundle.

    `model` is an encoder as a plan names it; a relative folder in it is taken from the working
    folder, not from the plan's.
    """
    return write_plan(
        folder / "plan.toml",
        {
            "atlas": {"title": title, "description": description},
            "output": {"bundle": "bundle"},
            "sources": [{"kind": "folder", **source}],
            "spaces": [{"name": "pictures", "encoder": absolute_encoder(model)}],
            "media": {"host": list(host), "max_side_px": 1024},
            "rejects": {"max_share": max_reject_share},
        },
    )


def absolute_encoder(spec: str) -> str:
    """The same encoder, its folder absolute where it is a folder."""
    kind, colon, place = spec.partition(":")
    return f"{kind}:{Path(place).absolute()}" if colon and kind == "local-dir" else spec
