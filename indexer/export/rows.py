"""The chosen rows of a bundle as Darwin Core columns, some thousand at a time.

Reads the segments' row files from front to back; memory follows the batch, not the bundle. The
bundle holds sensitive places as they were made coarse, so nothing finer can come out here. One
thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atlas.bundle.bundle import SEGMENTS
from atlas.bundle.flags import Flag, flag_names
from atlas.bundle.manifest import SourceEntry
from atlas.bundle.segment import ROWS, Segment
from indexer.export.chosen import Chosen

# What Darwin Core's terms say of a place that is not given as it was found. The words are such that
# a reader, this project's among them, sees that they are about the place.
_WITHHELD = "Coordinates withheld: the taxon is sensitive."
_GENERALISED = (
    "Coordinates generalised: the taxon is sensitive; its place was rounded to a grid, and the "
    "uncertainty includes the rounding."
)
_OBSCURED = "Location blurred or withheld by the publisher; it is given no finer than that."

NUMBERS = {
    "decimalLatitude": pa.float64(),
    "decimalLongitude": pa.float64(),
    "coordinateUncertaintyInMeters": pa.float32(),
}
"""Types of the columns that are no text."""
PLACE_REMARKS = Flag.LOCATION_WITHHELD | Flag.LOCATION_GENERALISED | Flag.LOCATION_OBSCURED
"""Flags that the remarks tell of."""

Positions = npt.NDArray[np.int64]
Columns = dict[str, pa.Array]


class Batch(NamedTuple):
    """Rows of one segment: their positions in it, and their columns by name.

    Columns have Darwin Core's names, and `uuid`, `source`, `mediaURL`, `mediaLicense`, `mediaType`,
    `flags` and those of the bundle's ranks. Empty text is null.
    """

    segment: Segment
    positions: Positions
    columns: Columns

    @property
    def row_ids(self) -> Positions:
        """Row ids, (n,), ascending."""
        ids: Positions = self.positions + self.segment.first_row
        return ids


def batches(chosen: Chosen, *, rows: int = 16_384) -> Iterator[Batch]:
    """All chosen rows in the order of their ids, from at most `rows` rows of a segment at a time.

    Every column is there; a writer takes those that it names.
    """
    manifest = chosen.bundle.manifest
    sources = {source.key: source for source in manifest.sources}
    for segment, selection in zip(chosen.bundle.segments, chosen.rows.selections, strict=True):
        if not selection.count:
            continue
        first = 0
        with pq.ParquetFile(chosen.bundle.root / SEGMENTS / segment.name / ROWS) as file:
            for group in range(file.num_row_groups):
                held = file.metadata.row_group(group).num_rows
                here = np.arange(first, first + held, dtype=np.int64)
                first += held
                if not selection.contains(here).any():
                    continue
                for batch in file.iter_batches(batch_size=rows, row_groups=[group]):
                    inside, here = here[: batch.num_rows], here[batch.num_rows :]
                    passing = selection.contains(inside)
                    if not passing.any():
                        continue
                    positions = inside[passing]
                    table = pa.Table.from_batches([batch]).filter(pa.array(passing))
                    flags = chosen.flags(positions + segment.first_row)
                    yield Batch(segment, positions, _columns(table, flags, manifest.ranks, sources))


def _columns(
    table: pa.Table,
    flags: npt.NDArray[np.int32],
    ranks: Sequence[str],
    sources: Mapping[str, SourceEntry],
) -> Columns:
    stored = {name: table[name].combine_chunks() for name in table.column_names}
    # Segments of older bundles have none.
    stored.setdefault("dataset_key", pa.nulls(table.num_rows, pa.string()))
    lineage = stored["lineage"]
    found = {rank: pc.list_element(lineage, at) for at, rank in enumerate(ranks)}
    found |= {
        term: stored[name]
        for term, name in (
            ("uuid", "image_id"),
            ("occurrenceID", "occurrence_id"),
            ("scientificName", "scientific_name"),
            ("vernacularName", "common_name"),
            ("recordedBy", "observer"),
            ("basisOfRecord", "basis_of_record"),
            ("license", "licence"),
            ("rightsHolder", "rights_holder"),
            ("references", "reference_url"),
            ("source", "source_key"),
            ("datasetKey", "dataset_key"),
            ("mediaURL", "media_url"),
            ("mediaLicense", "media_licence"),
            ("mediaType", "media_type"),
        )
    }
    found["datasetName"] = _by_source(stored["source_key"], sources, "title")
    found["bibliographicCitation"] = _by_source(stored["source_key"], sources, "citation")
    found |= _remarks(flags)
    found["flags"] = _flag_texts(flags)
    texts = {name: _or_null(column) for name, column in found.items()}
    return texts | {
        "decimalLatitude": stored["latitude"],
        "decimalLongitude": stored["longitude"],
        "coordinateUncertaintyInMeters": stored["uncertainty_m"],
        "eventDate": _event_date(stored["observed_from"], stored["observed_to"]),
    }


def _or_null(column: pa.Array) -> pa.Array:
    """Text with "" as null."""
    text = column.cast(pa.string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _event_date(first: pa.Array, last: pa.Array) -> pa.Array:
    """A day, or an interval of days with a slash (ISO 8601); null without a date."""
    begin, end = first.cast(pa.string()), last.cast(pa.string())
    interval = pc.binary_join_element_wise(begin, end, "/")
    day = pc.coalesce(begin, end)
    # An interval with an open end is null here: its known day stands for it.
    return pc.if_else(pc.fill_null(pc.not_equal(begin, end), fill_value=False), interval, day)


def _by_source(keys: pa.Array, sources: Mapping[str, SourceEntry], field: str) -> pa.Array:
    coded = keys.dictionary_encode()
    texts = [getattr(sources[key], field) for key in coded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(coded.indices)


def _remarks(flags: npt.NDArray[np.int32]) -> Columns:
    """What is said of records' places, and whether the taxon was found."""

    def where(flag: Flag, text: str, otherwise: pa.Array | None = None) -> pa.Array:
        other = pa.scalar(None, pa.string()) if otherwise is None else otherwise
        return pc.if_else(pa.array((flags & int(flag)) != 0), text, other)

    return {
        "informationWithheld": where(Flag.LOCATION_WITHHELD, _WITHHELD),
        "dataGeneralizations": where(
            Flag.LOCATION_GENERALISED, _GENERALISED, where(Flag.LOCATION_OBSCURED, _OBSCURED)
        ),
        "occurrenceStatus": where(
            Flag.RECORDED_ABSENT, "absent", pa.array(["present"] * len(flags), pa.string())
        ),
    }


def _flag_texts(flags: npt.NDArray[np.int32]) -> pa.Array:
    values, at = np.unique(flags, return_inverse=True)
    texts = ["|".join(flag_names(int(bits))) for bits in values]
    return pa.array(texts, pa.string()).take(pa.array(at))
