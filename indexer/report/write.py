"""Writes the report of a bundle: `report.json` for programs, `report.html` for people."""

from __future__ import annotations

from pathlib import Path

from atlas.bundle.files import atomic_write
from atlas.bundle.manifest import encode_json
from indexer.report.contents import Report, report_of
from indexer.report.page import page_of

PAGE, NUMBERS = "report.html", "report.json"


def write_report(root: Path, work: Path, folder: Path | None = None) -> tuple[Report, Path]:
    """Report on the live bundle below `root`; returns what was said, and the path of the page.

    `work` is the work folder of its build, whose record of stages is in the report where there is
    one. Both files go into `folder`, by default the work folder. Raises what `report_of` does.
    """
    report, cells = report_of(root, work)
    target = work if folder is None else folder
    atomic_write(target / NUMBERS, encode_json(report))
    atomic_write(target / PAGE, page_of(report, cells).encode())
    return report, target / PAGE
