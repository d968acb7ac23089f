"""Writes the performance page from the records of benchmarks; no number in it is typed by hand.

`python -m benchmarks.report docs/performance/*.json --output docs/performance.md`. Of two records
of the same question by the same system, that of the later file counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks.bars import Record, bars, key_of, percent, steady
from benchmarks.questions import FILTERS
from benchmarks.systems import SYSTEMS, built_as, variants_of

_QUESTION_FIELDS = ("benchmark", "system", "case", "filter", "share", "queries", "world", "rows")
_FILTER_TITLES = {
    "none": "No filter",
    "random": "Random rows",
    "own_taxon": "The query's own taxon",
    "other_taxon": "Another taxon",
    "taxon_region": "The query's own taxon within a region",
    "region_month": "A region in one month",
}


def read_records(paths: Sequence[Path]) -> list[Record]:
    """All records, the later file's where two answer the same question."""
    latest: dict[tuple[Any, ...], Record] = {}
    for path in paths:
        for record in msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]]):
            latest[tuple(record.get(name) for name in _QUESTION_FIELDS)] = record
    return list(latest.values())


def page(records: Sequence[Record], drawings: dict[str, list[str]]) -> str:
    """The page in Markdown; `drawings` are files relative to it, by world."""
    searches = [record for record in records if record["benchmark"] == "search"]
    lines = [*_head(searches)]
    for world, own in _worlds(searches).items():
        lines += _world(own, drawings.get(world, []))
    lines += _builds([record for record in records if record["benchmark"] == "build"])
    lines += _bundles([record for record in records if record["benchmark"] == "bundle"])
    lines += _memory([record for record in records if record["benchmark"] == "memory"])
    return "\n".join(lines).rstrip() + "\n"


def _head(searches: Sequence[Record]) -> Iterator[str]:
    yield "# Performance"
    yield ""
    yield (
        "Made by `python -m benchmarks.report` from the records of `python -m benchmarks.search`. "
        "All systems hold the same seeded world and are asked the same questions; the truth is "
        "exact search over the same float16 vectors with the filter applied. A made-up world has "
        "clustered vectors with the spectrum of BioCLIP 2's, taxa sized by Zipf's law, ranges and "
        "seasons; one around real vectors draws its vectors around 1,030 published ones of BioCLIP "
        "2, with noise of their covariance, and takes their taxa. One thread asks one question at "
        "a time. Latency is that of the second ask, so filters are compiled and pages are read; "
        "`cold` is the first ask of a filter."
    )
    yield ""
    yield (
        "The records are kept in `docs/performance`: `python -m benchmarks.report "
        "docs/performance/*.json --output docs/performance.md` writes this page from them."
    )
    yield ""
    for where in _distinct(searches, ("processor", "processors", "python", "date", "versions")):
        versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
        yield (
            f"- {where['date']}: {where['processor']}, {where['processors']} processors, "
            f"Python {where['python']}, {versions}"
        )
    missing = {record["system"]: record["missing"] for record in searches if "missing" in record}
    for system, needs in missing.items():
        yield f"- {system} was not measured: {needs} is not installed"
    yield ""


def _worlds(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records of searches by world, the largest world first."""
    worlds: dict[str, list[Record]] = {}
    for record in sorted((r for r in records if "world" in r), key=lambda r: -int(r["rows"])):
        worlds.setdefault(record["world"], []).append(record)
    return worlds


def _distinct(records: Sequence[Record], fields: Sequence[str]) -> list[Record]:
    seen: list[Record] = []
    for record in records:
        part = {name: record.get(name) for name in fields}
        if part not in seen and all(value is not None for value in part.values()):
            seen.append(part)
    return seen


def _world(records: Sequence[Record], drawings: Sequence[str]) -> Iterator[str]:
    first = records[0]
    _, _, seed_and_kind = first["world"].partition(", ")
    yield f"## {first['rows']:,} rows x {first['dim']} dimensions ({seed_and_kind})"
    yield ""
    yield from _table(("bar", "found", ""), [(b.asked, b.found, b.verdict) for b in bars(records)])
    systems = [name for name in SYSTEMS if steady(records, name)]
    for drawing in drawings:
        yield f"![Recall and latency by selectivity]({drawing})"
        yield ""
    for name in FILTERS:
        yield from _filter(name, [r for r in records if r["filter"] == name], systems)
    yield "### Size and building"
    yield ""
    yield from _table(
        ("system", "how it is run", "bytes a row", "built in, s"),
        [
            (name, str(of["settings"]), f"{of['bytes_per_row']:,.0f}", f"{of['build_s']:,.0f}")
            for name in systems
            for of in (steady(records, name)[0],)
        ],
    )


def _filter(name: str, records: Sequence[Record], systems: Sequence[str]) -> Iterator[str]:
    """Tables of one filter: a line a share and kind, a column a system, and who wins."""
    by_system = {system: {key_of(r): r for r in steady(records, system)} for system in systems}
    keys = list(dict.fromkeys(key_of(r) for of in by_system.values() for r in of.values()))
    if not keys:
        return
    yield f"### {_FILTER_TITLES[name]}"
    yield ""
    yield "Each cell: recall@10, p50 / p99 in ms; pages that are not full are noted."
    yield ""
    cold = {key_of(r): r for r in records if r["case"] == "cold_filter"}
    labels = {
        key: f"{percent(shown['selectivity'])}, {shown['queries']}"
        for key in keys
        for shown in (next(of[key] for of in by_system.values() if key in of),)
    }
    plain = [system for system in systems if built_as(system) == system]
    lines = []
    for key in keys:
        cells = [_cell(by_system[system].get(key)) for system in plain]
        first = f"{cold[key]['p50_ms']:.2f} / {cold[key]['p99_ms']:.2f}" if key in cold else ""
        lines.append((labels[key], *cells, first))
    yield from _table(("rows that pass, query", *plain, "atlas, cold"), lines)
    for system in plain:
        asked = [name for name in variants_of(system) if name in by_system]
        if len(asked) > 1:
            yield f"{system} by how far it looks:"
            yield ""
            yield from _table(
                ("rows that pass, query", *asked),
                [(labels[key], *(_cell(by_system[n].get(key)) for n in asked)) for key in keys],
            )
    yield from _winners(keys, by_system)


def _cell(record: Record | None) -> str:
    if record is None:
        return ""
    recall = "-" if record["recall_at_10"] is None else f"{record['recall_at_10']:.3f}"
    full = record["full_pages"]
    short = f", {percent(full)} full" if full is not None and full < 1 else ""
    return f"{recall}, {record['p50_ms']:.2f} / {record['p99_ms']:.2f}{short}"


def _winners(
    keys: Sequence[tuple[Any, ...]], by_system: dict[str, dict[tuple[Any, ...], Record]]
) -> Iterator[str]:
    """Who is fastest among those that find .98 of the true hits, counted over the lines."""
    wins: dict[str, int] = {}
    nobody = 0
    for key in keys:
        good = [
            (of[key]["p50_ms"], system)
            for system, of in by_system.items()
            if key in of and (of[key]["recall_at_10"] or 0) >= 0.98
        ]
        if good:
            fastest = min(good)[1]
            wins[fastest] = wins.get(fastest, 0) + 1
        else:
            nobody += 1
    listed = [f"{system} in {count}" for system, count in sorted(wins.items(), key=lambda w: -w[1])]
    listed += [f"none in {nobody}"] if nobody else []
    yield f"Fastest with recall of at least .98, of {len(keys)} lines: {', '.join(listed)}."
    yield ""


def _builds(records: Sequence[Record]) -> Iterator[str]:
    if not records:
        return
    yield "## Building"
    yield ""
    yield (
        "A whole build from ready vectors (`python -m benchmarks.build`): wall and processor time, "
        "the most memory that its processes held beside the page cache, and disk in vectors of two "
        "bytes a dimension."
    )
    yield ""
    yield from _table(
        ("rows", "stage", "seconds", "CPU seconds", "rows a second", "memory, MB", "disk"),
        [
            (
                f"{record['rows']:,} x {record['dim']}",
                record["case"],
                f"{record['seconds']:,.0f}",
                f"{record['cpu_seconds']:,.0f}",
                f"{record['rows_per_s']:,}",
                f"{record['peak_rss_bytes'] / 1e6:,.0f}",
                f"{record['disk_of_vectors']:.2f}",
            )
            for record in records
        ],
    )


def _bundles(records: Sequence[Record]) -> Iterator[str]:
    if not records:
        return
    yield "## Recall aimed at"
    yield ""
    yield (
        "Search without a filter in one bundle, by image-like queries, at several recalls asked "
        "for (`python -m benchmarks.bundle`); where no text-like queries could be measured the "
        "server aims half-way higher."
    )
    yield ""
    yield from _table(
        ("rows", "case", "recall@10", "compared with exact", "p50, ms", "p99, ms"),
        [
            (
                f"{record['rows']:,} x {record['dim']}",
                record["case"],
                f"{record['recall_at_10']:.3f}",
                f"{record['compared']} of {record['asked']}",
                f"{record['p50_ms']:.2f}",
                f"{record['p99_ms']:.2f}",
            )
            for record in records
        ],
    )


def _memory(records: Sequence[Record]) -> Iterator[str]:
    if not records:
        return
    yield "## Memory"
    yield ""
    yield (
        "Resident memory of a server process after mixed searches (`python -m benchmarks.memory`): "
        "its own, without pages of mapped files, which the system takes back when it needs them."
    )
    yield ""
    fields = ("rows", "dim", "asked", "started_mb", "opened_mb", "asked_mb", "file_mb")
    yield from _table(
        (*fields, "resident bytes a row"),
        [(*(f"{r[f]:,}" for f in fields), f"{r['resident_bytes_per_row']:g}") for r in records],
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for line in lines:
        yield f"| {' | '.join(line)} |"
    yield ""


def _draw(records: Sequence[Record], output: Path) -> dict[str, list[str]]:
    # Only drawing needs matplotlib, which is not of the default environment.
    from benchmarks.plots import draw  # noqa: PLC0415

    folder = output.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, list[str]] = {}
    for world, own in _worlds([r for r in records if r["benchmark"] == "search"]).items():
        systems = [name for name in SYSTEMS if steady(own, name)]
        for kind in ("image", "text"):
            path = folder / f"{kind}-{re.sub('[^a-z0-9]+', '-', world)}.svg"
            draw(own, systems, kind, path)
            made.setdefault(world, []).append(f"{folder.name}/{path.name}")
    return made


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--drawings/--no-drawings", default=True, show_default=True)
def main(files: tuple[Path, ...], output: Path, *, drawings: bool) -> None:
    """Write the page, and its drawings beside it."""
    records = read_records(files)
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        made = _draw(records, output) if drawings else {}
    except ModuleNotFoundError as error:
        needed = f"{error.name} is not installed: install the extra `bench` or use --no-drawings"
        raise click.ClickException(needed) from error
    output.write_text(page(records, made), encoding="utf-8")
    print(output)


if __name__ == "__main__":
    main()
