"""A finished part on disk: its files, and the report that is written last and makes it finished.

Knows file names, not what a stage does. Two workers never write one part of one stage.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.files import append_numbers, atomic_path, atomic_write, sha256_of, sync_folder
from atlas.errors import BuildError
from indexer.records import check_accounting

VECTORS = ".f16"


class PartReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stage made of one part; the content of `PART.json`.

    `identity` stands for everything that the part's content follows from: a report with another
    identity is of other work. `rows_in` = `rows_out` + `rejects`. `dims` gives the dimension of
    each space whose vectors the part holds. `files` gives each file's size in bytes, by name, and
    `sums` its SHA-256, in hex, as it was written. `seal` is that of the report itself, without it.
    """

    part: str
    stage: str
    identity: str
    rows_in: int
    rows_out: int
    rejects: int
    dims: dict[str, int] = {}
    files: dict[str, int]
    sums: dict[str, str] = {}
    seal: str = ""

    def sealed(self) -> PartReport:
        """The report with its seal."""
        plain = msgspec.structs.replace(self, seal="")
        seal = hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()
        return msgspec.structs.replace(self, seal=seal)


def records_path(folder: Path, part: str) -> Path:
    """The surviving records of a part."""
    return folder / f"{part}.parquet"


def rejects_path(folder: Path, part: str) -> Path:
    """What a stage refused of a part."""
    return folder / f"{part}.rejects.parquet"


def excluded_path(folder: Path, part: str) -> Path:
    """Which of the plan's ids to leave out were met in a part; only where a plan has any."""
    return folder / f"{part}.excluded.parquet"


def vectors_path(folder: Path, part: str, space: str) -> Path:
    """Raw little-endian float16 unit vectors, rows x dim, in the order of the records."""
    return folder / f"{part}.{space}{VECTORS}"


def report_path(folder: Path, part: str) -> Path:
    """The report of a part."""
    return folder / f"{part}.json"


def report_of(folder: Path, part: str) -> PartReport:
    """The report of a part that is known to be finished."""
    return msgspec.json.decode(report_path(folder, part).read_bytes(), type=PartReport)


def finished(folder: Path, part: str, identity: str) -> PartReport | None:
    """The report of a finished part with this identity and all its files; None to do it (again).

    Files are compared with their checksums, so that a damaged one is made again, but for vectors,
    which are most of a build's bytes: `check_vectors` does that once they are needed.
    """
    try:
        report = report_of(folder, part)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if report.identity != identity or report != report.sealed():
        return None
    for name, size_bytes in report.files.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != size_bytes:
            return None
        if file.suffix != VECTORS and sha256_of(file) != report.sums.get(name):
            return None
    return report


def check_vectors(folders: Sequence[Path], reports: Iterable[PartReport], since_ns: int) -> None:
    """Compare the vectors of parts with their checksums, but of parts finished since `since_ns`.

    The last of `folders` holds the vectors. Raises BuildError for a damaged file; its part is taken
    back in all folders and made again by the next build.
    """
    folder = folders[-1]
    for report in reports:
        if report_path(folder, report.part).stat().st_mtime_ns >= since_ns:
            continue
        for name, known in report.sums.items():
            if Path(name).suffix == VECTORS and sha256_of(folder / name) != known:
                for each in folders:
                    begin(each, report.part)
                raise BuildError(
                    report.stage,
                    f"{folder / name} is not as it was written; start the build again, "
                    "and it is made anew",
                )


def begin(folder: Path, part: str) -> None:
    """Take back an older report before its files are replaced, so that they are never mixed up."""
    folder.mkdir(parents=True, exist_ok=True)
    report = report_path(folder, part)
    if report.exists():
        report.unlink()
        sync_folder(folder)


def write_report(folder: Path, report: PartReport) -> PartReport:
    """Check that the rows add up and write the report; the part is finished now.

    Checksums that the report does not have yet are taken of the files.
    Raises BuildError where rows in differ from rows out and rejects.
    """
    check_accounting(
        report.stage,
        report.part,
        rows_in=report.rows_in,
        rows_out=report.rows_out,
        rejects=report.rejects,
    )
    sums = {
        name: report.sums[name] if name in report.sums else sha256_of(folder / name)
        for name in report.files
    }
    report = msgspec.structs.replace(report, sums=sums).sealed()
    content = msgspec.json.format(msgspec.json.encode(report, order="sorted")) + b"\n"
    atomic_write(report_path(folder, report.part), content)
    return report


def sizes_of(*paths: Path) -> dict[str, int]:
    """Size in bytes of each file, by name."""
    return {path.name: path.stat().st_size for path in paths}


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """How all parts are written: equal tables give equal bytes.

    Values that never repeat get no dictionary; statistics of pictures would copy them. A part is
    written once and read twice: LZ4 takes two thirds of the time of Zstandard, and 1.7 times the
    space.
    """
    unique = {"image_id", "occurrence_id", "reference_url", "media_url", "media", "media_sha256"}
    return {
        "compression": "lz4",
        "use_dictionary": [name for name in schema.names if name not in unique],
        "write_statistics": [name for name in schema.names if name != "media"],
    }


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet, whole or not at all."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, **parquet_options(table.schema))


def write_vectors(path: Path, vectors: npt.NDArray[np.float16]) -> None:
    """Write vectors, (rows, dim), as raw little-endian float16, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        append_numbers(file, vectors.astype("<f2", copy=False))


def link_file(source: Path, path: Path) -> None:
    """Give a finished file a second name; a copy where the file system has no hard links.

    Finished files are replaced and never written to, so neither name can change the other's bytes.
    """
    with atomic_path(path) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
