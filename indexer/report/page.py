"""The page of a report: one HTML file that asks nobody for anything, readable on light and dark.

Shows the numbers of a `Report` and counts none. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from indexer.progress import duration
from indexer.report import map as report_map
from indexer.report.contents import MapCells, Report, SourceReport
from indexer.report.drawings import COLOURS, recall, stacked_bars, svg_of, throughput
from indexer.report.markup import STYLE, Row, figure, size, span, table
from indexer.report.record import Run, StageRun

_STATES = ("shown", "held back", "removed", "rejected")
_STATE_COLOURS = (COLOURS[2], COLOURS[1], COLOURS[4], COLOURS[5])
_MAP_COLOURS = {
    report_map.LAND: "var(--land)",
    report_map.SEA: "var(--sea)",
    report_map.SHORE: "var(--shore)",
}


def page_of(report: Report, cells: MapCells) -> str:
    """The whole page."""
    title = escape(report.title)
    parts = [
        f"<h1>{title}: what came in</h1>",
        f'<p class="faint">Bundle {report.number}, built at {escape(report.built_at)}</p>',
    ]
    if report.demonstration:
        parts.append('<p class="notice">A demonstration: its records are made up.</p>')
    if report.description:
        parts.append(f"<p>{escape(report.description)}</p>")
    parts += [
        _facts(report),
        _rows(report),
        _rejects(report),
        _map(report, cells),
        _times(report),
        _recall(report),
        _flags(report),
        _sources(report.sources),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}: report of the build</title>\n<style>{STYLE}</style>\n</head>\n"
        "<body>\n<main>\n" + "\n".join(part for part in parts if part) + "\n</main>\n</body>\n"
        "</html>\n"
    )


def _facts(report: Report) -> str:
    facts = [
        ("rows in", f"{report.rows_in:,}"),
        ("rows in the bundle", f"{report.rows:,}"),
        ("rejected", f"{report.rejected:,}"),
        ("species", f"{report.species:,}"),
        ("taxa", f"{report.taxa:,}"),
        ("first day", report.first_day or "none"),
        ("last day", report.last_day or "none"),
        ("size", size(report.size_bytes)),
    ]
    shown = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return f'<dl class="facts">{shown}</dl>'


def _rows(report: Report) -> str:
    sources = report.sources
    values = [_states(source) for source in sources]
    drawing = stacked_bars(
        [source.key for source in sources],
        {state: [value[at] for value in values] for at, state in enumerate(_STATES)},
        _STATE_COLOURS,
        "rows",
    )
    header = ("source", "rows in", *_STATES, "with a place")
    numbers = [(source.rows_in, *_states(source), source.placed) for source in sources]
    rows: list[Row] = [
        (source.key, *counts) for source, counts in zip(sources, numbers, strict=True)
    ]
    total: Row = ("all", *map(sum, zip(*numbers, strict=True)))
    return (
        "<h2>Rows by source and state</h2><p>Rows in = shown + held back + removed + rejected. "
        "What is held back is in the bundle and hidden by the default filter.</p>"
        f'<div class="pair">{figure(drawing, "rows", "Rows by source and state")}'
        f"{table(header, [*rows, total] if len(rows) > 1 else rows)}</div>"
    )


def _states(source: SourceReport) -> tuple[int, int, int, int]:
    return source.shown, source.held_back, source.removed, source.rejected


def _rejects(report: Report) -> str:
    if not report.rejects:
        return "<h2>Rejects</h2><p>No row was rejected.</p>"
    drawing = stacked_bars(
        [count.reason for count in report.rejects],
        {"rejected": [count.rows for count in report.rejects]},
        _STATE_COLOURS[3:],
        "rows rejected",
    )
    keys = [source.key for source in report.sources if source.rejects]
    by_key = {source.key: source.rejects for source in report.sources}
    header = ("reason", "stage", "rows", *(keys if len(keys) > 1 else ()))
    rows: list[Row] = [
        (
            count.reason,
            ", ".join(count.stages),
            count.rows,
            *(by_key[key].get(count.reason, 0) for key in (keys if len(keys) > 1 else ())),
        )
        for count in report.rejects
    ]
    return (
        "<h2>Rejects by reason</h2><p>Each refused row stands in the bundle's rejects, with where "
        "it came from and what was wrong.</p>"
        f'<div class="pair">{figure(drawing, "rejects", "Rejects by reason")}'
        f"{table(header, rows)}</div>"
    )


def _map(report: Report, cells: MapCells) -> str:
    places = report.places
    said = (
        f"{places.mapped:,} rows in {places.cells:,} cells of resolution {places.resolution}; "
        f"{places.coarser:,} are placed less finely, {places.nowhere:,} have no place."
    )
    if not places.cells:
        return f"<h2>Map of what came in</h2><p>{said}</p>"
    classes = report_map.classes_of(places.most)
    svg = svg_of(report_map.draw(cells, classes), "map", "Map of the rows by cell")
    for stand_in, colour in _MAP_COLOURS.items():
        svg = svg.replace(stand_in, colour)
    legend = "".join(
        f'<li><i style="background:{one.colour}"></i>{span(one.first, one.last)}</li>'
        for one in classes
    )
    return (
        f"<h2>Map of what came in</h2><p>{said} It shows where records come from, and with them "
        f'where people look.</p><figure class="map">{svg}<figcaption>Rows in a cell'
        f'<ul class="legend">{legend}</ul></figcaption></figure>'
    )


def _times(report: Report) -> str:
    if not report.runs:
        return (
            "<h2>Time</h2><p>There is no record of the runs: it lies in the work folder of the "
            "build.</p>"
        )
    parts = ["<h2>Time and throughput</h2>"]
    if len(report.runs) > 1:
        parts.append(
            f"<p>It took {len(report.runs)} runs: what an earlier one finished was not done "
            "again.</p>"
        )
    parts += [_run(number, run) for number, run in enumerate(report.runs, 1)]
    return "".join(parts)


def _run(number: int, run: Run) -> str:
    took_s = max((stage.started_s + stage.took_s for stage in run.stages), default=0.0)
    header = ("stage", "units", "", "time", "a second")
    rows = [
        (
            stage.name,
            f"{stage.done:,}",
            stage.unit if stage.whole else f"{stage.unit} (stopped)",
            f"{stage.took_s:,.2f} s",
            f"{stage.done / stage.took_s:,.0f}" if _has_rate(stage) else "",
        )
        for stage in run.stages
    ]
    lasting = [stage for stage in run.stages if _has_rate(stage)]
    drawing = figure(throughput(lasting), f"run{number}", "Throughput over time") if lasting else ""
    return (
        f'<p class="faint">Run {number}, begun {escape(run.started_at)}, {duration(took_s)}</p>'
        f'<div class="pair">{drawing}{table(header, rows, numbers=(1, 3, 4))}</div>'
    )


def _has_rate(stage: StageRun) -> bool:
    """Whether a stage did enough units for a rate to mean something."""
    return stage.done > 1 and stage.took_s > 0


def _recall(report: Report) -> str:
    parts = []
    for number, curve in enumerate(report.spaces, 1):
        served = [
            (point.queries, point.path, point.probes, point.fetch, f"{point.recall:.4f}",
             point.asked)
            for point in curve.served()
        ]  # fmt: skip
        header = ("queries", "path", "lists", "candidates", f"recall@{curve.k}", "asked")
        indexed = any(point.path == "index" for point in curve.points)
        drawing = figure(recall(curve), f"recall{number}", "Recall curve") if indexed else ""
        why = "" if indexed else " Every row is scored, so no hit is missed."
        parts.append(
            f"<p>Space {escape(curve.space)}, {curve.rows:,} vectors, as served.{why}</p>"
            f'<div class="pair">{drawing}{table(header, served, numbers=(2, 3, 4, 5))}</div>'
        )
    if not parts:
        return "<h2>Recall</h2><p>The bundle has no vectors.</p>"
    return "<h2>Recall against exact search</h2>" + "".join(parts)


def _flags(report: Report) -> str:
    if not report.flags:
        return "<h2>Quality flags</h2><p>No row has one.</p>"
    rows = [
        (count.flag, count.rows, "yes" if count.held_back else "", count.meaning)
        for count in report.flags
    ]
    return "<h2>Quality flags</h2><p>A row may have several.</p>" + table(
        ("flag", "rows", "held back", "meaning"), rows
    )


def _sources(sources: Sequence[SourceReport]) -> str:
    rows = [
        (source.key, source.title, source.kind, source.licence or "not stated",
         source.citation or "not stated", source.url)
        for source in sources
    ]  # fmt: skip
    return "<h2>Sources</h2>" + table(
        ("source", "title", "kind", "licence", "citation", "page"), rows
    )
