"""Chosen rows as a Darwin Core Archive: occurrences, the photos of each, and how to cite them.

Source: the Darwin Core text guide (https://dwc.tdwg.org/text/) and GBIF's simple multimedia
extension. Occurrences are found with DuckDB, which spills; rows go straight to the file. One
thread.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from atlas.bundle.bundle import SEGMENTS
from atlas.bundle.flags import Flag
from atlas.bundle.segment import ROWS
from indexer.export.archive_documents import datasets_table, descriptor, metadata
from indexer.export.chosen import Chosen
from indexer.export.rows import NUMBERS, PLACE_REMARKS, Batch, batches
from indexer.licences import normalise_licence
from indexer.work import open_database, quoted_list

OCCURRENCES = "occurrence.csv"
MULTIMEDIA = "multimedia.csv"

_CORE = (
    "occurrenceID",
    "basisOfRecord",
    "occurrenceStatus",
    "scientificName",
    "vernacularName",
    "eventDate",
    "decimalLatitude",
    "decimalLongitude",
    "coordinateUncertaintyInMeters",
    "informationWithheld",
    "dataGeneralizations",
    "recordedBy",
    "license",
    "rightsHolder",
    "references",
    "datasetID",
    "datasetName",
    "bibliographicCitation",
)
DATASETS = "datasets.csv"
_MEDIA = ("type", "format", "identifier", "references", "license", "rightsHolder")
_FLAGS = int(PLACE_REMARKS | Flag.RECORDED_ABSENT)
# Photos of one record share all of this; where they do not, they are told as records of their own.
_SHARED = (
    "scientific_name, lineage, common_name, latitude, longitude, uncertainty_m, observed_from, "
    f"observed_to, observer, basis_of_record, licence, flags & {_FLAGS}"
)


class ArchiveCounts(NamedTuple):
    """What went into an archive: every chosen photo is in `media` or in `without_address`."""

    occurrences: int
    media: int
    without_address: int


def write_archive(path: Path, chosen: Chosen, progress: Callable[[Batch], None]) -> ArchiveCounts:
    """Write the archive, a zip; equal rows give equal bytes. `progress` is told each batch once.

    A photo that has no address is in the archive by its occurrence only. `datasets.csv` counts the
    occurrences of each data set, as GBIF asks for whom to cite of a derived data set.
    """
    manifest = chosen.bundle.manifest
    written = dt.datetime.fromisoformat(manifest.built_at)
    with (
        tempfile.TemporaryDirectory(prefix=".archive-", dir=path.parent) as scratch,
        _Occurrences(chosen, Path(scratch)) as occurrences,
        ZipFile(path, "w", ZIP_DEFLATED) as archive,
    ):
        core = ("id", *_CORE[:4], *manifest.ranks, *_CORE[4:])
        core_rows = media_rows = rows = 0
        datasets: Counter[str] = Counter()
        with _member(archive, OCCURRENCES, written, core) as write:
            for batch in batches(chosen):
                table = _core_table(batch, occurrences, core)
                core_rows += table.num_rows
                for found in pc.value_counts(table["datasetID"]).to_pylist():
                    datasets[found["values"]] += found["counts"]
                write(table)
        licences: set[str] = set()
        sources: set[str] = set()
        with _member(archive, MULTIMEDIA, written, ("coreid", *_MEDIA)) as write:
            for batch in batches(chosen):
                table = _media_table(batch, occurrences)
                media_rows += table.num_rows
                rows += len(batch.positions)
                licences.update(_known(batch.columns["license"], batch.columns["mediaLicense"]))
                sources.update(_known(batch.columns["source"]))
                write(table)
                progress(batch)
        counts = ArchiveCounts(core_rows, media_rows, rows - media_rows)
        for name, content in (
            (DATASETS, datasets_table(datasets)),
            ("meta.xml", descriptor(core[1:], _MEDIA, manifest.ranks)),
            (
                "eml.xml",
                metadata(
                    manifest,
                    [source for source in manifest.sources if source.key in sources],
                    occurrences=counts.occurrences,
                    photos=counts.media,
                    licences=sorted(licences),
                ),
            ),
        ):
            archive.writestr(_entry(name, written), content)
    return counts


class _Occurrences:
    """Which occurrence each chosen row shows: the least image id of its photos is the id of it."""

    def __init__(self, chosen: Chosen, scratch: Path) -> None:
        self._connection = open_database(scratch, scratch / "occurrences.duckdb")
        folder = chosen.bundle.root / SEGMENTS
        listed = quoted_list(folder / segment.name / ROWS for segment in chosen.bundle.segments)
        self._connection.execute("CREATE TABLE chosen (row_id BIGINT)")
        for segment, selection in zip(chosen.bundle.segments, chosen.rows.selections, strict=True):
            for block in selection.blocks():
                positions = (
                    np.arange(block.start, block.stop) if isinstance(block, slice) else block
                )
                self._connection.register(
                    "block", pa.table({"row_id": positions + segment.first_row})
                )
                self._connection.execute("INSERT INTO chosen SELECT row_id FROM block")
        self._connection.execute(
            "CREATE TABLE shown AS SELECT row_id, min(image_id::UUID) OVER photos AS id, "
            f"{_agreed('rights_holder')} AS one_holder, "
            f"{_agreed('reference_url')} AS one_reference "
            f"FROM read_parquet({listed}) SEMI JOIN chosen USING (row_id) WINDOW photos AS "
            f"(PARTITION BY source_key, occurrence_id, hash({_SHARED})) ORDER BY row_id"
        )

    def __enter__(self) -> _Occurrences:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def of(self, batch: Batch) -> pa.Table:
        """`id`, `one_holder` and `one_reference` for each row of a batch.

        The latter say whether all photos of the occurrence have the same.
        """
        row_ids = batch.row_ids
        # By `sql`, not `execute`: the latter would copy every row once more on its way to Arrow.
        found: pa.Table = self._connection.sql(
            "SELECT id::VARCHAR AS id, one_holder, one_reference FROM shown "
            "WHERE row_id BETWEEN ? AND ? ORDER BY row_id",
            params=[int(row_ids[0]), int(row_ids[-1])],
        ).to_arrow_table()
        return found


def _agreed(column: str) -> str:
    """SQL: all photos of an occurrence have the same value, or none has one."""
    return (
        f"(count({column}) OVER photos = 0 OR (count({column}) OVER photos = count(*) OVER photos "
        f"AND min({column}) OVER photos = max({column}) OVER photos))"
    )


def _core_table(batch: Batch, occurrences: _Occurrences, names: Sequence[str]) -> pa.Table:
    """The occurrences whose first photo is in this batch."""
    shown = occurrences.of(batch)
    columns = batch.columns | {"id": shown["id"].combine_chunks()}
    columns["datasetID"] = pc.coalesce(columns["datasetKey"], columns["source"])
    columns["license"] = _addresses(columns["license"])
    for term, agreed in (("rightsHolder", "one_holder"), ("references", "one_reference")):
        columns[term] = pc.if_else(
            shown[agreed].combine_chunks(), columns[term], pa.scalar(None, pa.string())
        )
    table = pa.table({name: columns[name] for name in names})
    return table.filter(pc.equal(columns["id"], columns["uuid"]))


def _media_table(batch: Batch, occurrences: _Occurrences) -> pa.Table:
    """The photos of this batch that have an address."""
    columns = batch.columns
    rows = len(batch.positions)
    table = pa.table(
        {
            "coreid": occurrences.of(batch)["id"].combine_chunks(),
            "type": pa.repeat(pa.scalar("StillImage"), rows),
            "format": columns["mediaType"],
            "identifier": columns["mediaURL"],
            "references": columns["references"],
            "license": _addresses(columns["mediaLicense"]),
            "rightsHolder": columns["rightsHolder"],
        }
    )
    return table.filter(pc.is_valid(columns["mediaURL"]))


def _addresses(codes: pa.Array) -> pa.Array:
    """Licences as the addresses of their texts, where they have one, as publishers are asked to."""
    coded = codes.dictionary_encode()
    texts = []
    for code in coded.dictionary.to_pylist():
        licence = normalise_licence(code)
        texts.append(licence.url if licence is not None and licence.url else code)
    return pa.array(texts, pa.string()).take(coded.indices)


def _known(*columns: pa.Array) -> Iterator[str]:
    for column in columns:
        yield from pc.unique(column).drop_null().to_pylist()


def _entry(name: str, written: dt.datetime) -> ZipInfo:
    """A file of the archive, dated as the bundle is (a zip knows no time before 1980)."""
    info = ZipInfo(name, max(written, dt.datetime(1980, 1, 1, tzinfo=dt.UTC)).timetuple()[:6])
    info.compress_type = ZIP_DEFLATED
    return info


@contextmanager
def _member(
    archive: ZipFile, name: str, written: dt.datetime, columns: Sequence[str]
) -> Iterator[Callable[[pa.Table], None]]:
    """Open a table of the archive; the block is given a function that writes rows to it."""
    schema = pa.schema([(column, NUMBERS.get(column, pa.string())) for column in columns])
    with (
        archive.open(_entry(name, written), "w", force_zip64=True) as file,
        pyarrow.csv.CSVWriter(pa.PythonFile(file, mode="w"), schema) as writer,
    ):
        yield lambda table: writer.write_table(table.cast(schema))
