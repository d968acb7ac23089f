"""Writes the page of maps at scale from the records of `benchmarks.maps`; no number is typed.

`python -m benchmarks.map_report FILE.json … --output docs/maps-performance.md`. Of two records of
the same case and rows, that of the later file counts. A bar that no record tells is not passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks.bars import Bar
from benchmarks.maps import growth

Record = dict[str, Any]
P50_MS, P99_MS = 15.0, 80.0
DISTRIBUTION_MS, GAPS_MS = 150.0, 1_000.0
BYTES_PER_ROW, BUILD_MINUTES, MEMORY_GB = 60.0, 45.0, 12.0
GROWTH, TIMES_FASTER = 2.0, 20.0
ROWS = 100_000_000


def read_records(paths: Sequence[Path]) -> dict[int, list[Record]]:
    """Records by number of rows, the smallest first."""
    latest: dict[tuple[int, str], Record] = {}
    for path in paths:
        for record in msgspec.json.decode(path.read_bytes(), type=list[Record]):
            latest[record["rows"], record["case"]] = record
    sizes = sorted({rows for rows, _ in latest})
    return {rows: [record for (own, _), record in latest.items() if own == rows] for rows in sizes}


def bars(sizes: dict[int, list[Record]]) -> list[Bar]:
    """What is asked of maps at a hundred million rows, and what the records say."""
    found = sizes.get(ROWS, [])
    tiles = _of(found, "tile: ")
    growing = growth(sizes[ROWS // 10], found) if ROWS // 10 in sizes and tiles else []
    against = _of(found, "against plain DuckDB: ")
    build = [
        {
            **record,
            "minutes": round(record["seconds"] / 60, 1),
            "gigabytes": round(record["peak_rss_bytes"] / 1e9, 1),
        }
        for record in _of(found, "build: total")
    ]
    return [
        _worst(f"p50 of tiles at most {P50_MS:g} ms", tiles, "p50_ms", P50_MS),
        _worst(f"p99 of tiles at most {P99_MS:g} ms", tiles, "p99_ms", P99_MS),
        _worst(
            f"distribution, median of the twenty commonest species, at most {DISTRIBUTION_MS:g} ms",
            _of(found, "distribution: resolution 4"),
            "p50_ms",
            DISTRIBUTION_MS,
        ),
        _worst(
            f"gaps of a class, world, resolution 4, at most {GAPS_MS:g} ms warm",
            _of(found, "gaps of a class, world, resolution 4: warm"),
            "p50_ms",
            GAPS_MS,
        ),
        _worst(
            f"at most {BYTES_PER_ROW:g} bytes a row without occurrence and image ids",
            _of(found, "size: without identifiers"),
            "bytes_per_row",
            BYTES_PER_ROW,
        ),
        _worst(
            f"at most {BYTES_PER_ROW:g} bytes a row without occurrence ids alone",
            _of(found, "size: without occurrence ids"),
            "bytes_per_row",
            BYTES_PER_ROW,
        ),
        _worst(f"built within {BUILD_MINUTES:g} minutes", build, "minutes", BUILD_MINUTES),
        _worst(f"memory at most {MEMORY_GB:g} GB", build, "gigabytes", MEMORY_GB),
        _worst(f"p50 grows at most {GROWTH:g} times from 10 million", growing, "times", GROWTH),
        _worst(
            f"at least {TIMES_FASTER:g} times as fast as plain DuckDB",
            against,
            "times_faster",
            TIMES_FASTER,
            least=True,
        ),
        _worst("the same numbers as plain DuckDB", against, "same_numbers", 1, least=True),
    ]


def _of(records: Sequence[Record], start: str) -> list[Record]:
    return [record for record in records if record["case"].startswith(start)]


def _worst(
    asked: str, records: Sequence[Record], field: str, bound: float, *, least: bool = False
) -> Bar:
    """The bar decided by the worst of some records' values."""
    if not records:
        return Bar(asked, "no such record", "not measured")
    choose: Callable[..., Record] = min if least else max
    worst = choose(records, key=lambda record: record[field])
    below = sum(r[field] < bound if least else r[field] > bound for r in records)
    found = f"{worst[field]:,} ({worst['case']})"
    if below:
        found += f"; {below} of {len(records)} fall short"
    return Bar(asked, found, "fail" if below else "pass")


def page(sizes: dict[int, list[Record]]) -> str:
    """The page in Markdown."""
    lines = [*_head(sizes)]
    for rows, records in reversed(sizes.items()):
        lines += [f"## {rows:,} rows", "", *_times(records), *_against(records)]
        lines += [*_sizes(records), *_builds(records)]
    return "\n".join(lines).rstrip() + "\n"


def _head(sizes: dict[int, list[Record]]) -> Iterator[str]:
    yield "# Maps at scale"
    yield ""
    yield "Made by `python -m benchmarks.map_report` from records of `python -m benchmarks.maps`."
    yield ""
    yield "The rows are made up, without photos: 100,000 taxa whose sizes follow Zipf's law, each"
    yield "with a range; visits of observers to sites, placed by the density of GBIF's records. The"
    yield "catalog is built by the project's own stage. Tiles are asked where a random record of"
    yield "the taxon lies, one after the other, none twice."
    yield ""
    measured = [record for records in sizes.values() for record in records if "busy" in record]
    if measured:
        loads = sorted(record["busy"] for record in measured)
        cpus = ", ".join(map(str, sorted({record["cpus"] for record in measured})))
        yield f"{cpus} processors, with a load of {loads[0]:g} to {loads[-1]:g} while measuring."
        yield ""
    yield from _table(
        ("bar", "found", ""), [(bar.asked, bar.found, bar.verdict) for bar in bars(sizes)]
    )


def _times(records: Sequence[Record]) -> Iterator[str]:
    asked = [record for record in records if "p99_ms" in record]
    yield "Milliseconds of one question; `CPU` is processor time of all threads."
    yield ""
    yield from _table(
        ("question", "p50", "p99", "p50 CPU", "p99 CPU"),
        [
            (r["case"], r["p50_ms"], r["p99_ms"], r.get("p50_cpu_ms"), r.get("p99_cpu_ms"))
            for r in asked
        ],
    )


def _against(records: Sequence[Record]) -> Iterator[str]:
    against = _of(records, "against plain DuckDB: ")
    if not against:
        return
    yield (
        "Against the same counts in plain SQL over one DuckDB table of the rows in no order, as a "
        "download has them, with as many threads:"
    )
    yield ""
    yield from _table(
        ("question", "atlas p50, ms", "plain p50, ms", "times faster", "same numbers"),
        [
            (
                record["case"].removeprefix("against plain DuckDB: "),
                record["p50_ms"],
                record["plain_p50_ms"],
                record["times_faster"],
                "yes" if record["same_numbers"] else "no",
            )
            for record in against
        ],
    )


def _sizes(records: Sequence[Record]) -> Iterator[str]:
    sizes = _of(records, "size: ")
    yield "Bytes a row of the catalog; identifiers are occurrence ids, image ids and their key."
    if sizes and not _of(sizes, "size: image_stored_id"):
        yield "Bundle format 2, which stored every image id: this size was not built since."
    yield ""
    yield from _table(
        ("table", "its rows", "bytes a row of `image`"),
        [
            (record["case"].removeprefix("size: "), record.get("table_rows"), value)
            for record in sizes
            if (value := record["bytes_per_row"]) >= 0.1
        ],
    )


def _builds(records: Sequence[Record]) -> Iterator[str]:
    yield from _table(
        ("step", "seconds", "CPU seconds", "peak memory, MB", "load of the machine"),
        [
            (
                record["case"].removeprefix("build: "),
                record["seconds"],
                record["cpu_seconds"],
                round(record["peak_rss_bytes"] / 1e6),
                record.get("load"),
            )
            for record in _of(records, "build: ")
        ],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else str(value)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
def main(files: tuple[Path, ...], output: Path) -> None:
    """Write the page from files of records."""
    output.write_text(page(read_records(files)), encoding="utf-8")


if __name__ == "__main__":
    main()
