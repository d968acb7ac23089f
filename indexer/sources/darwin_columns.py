"""Records from whole columns of Darwin Core values.

The same rules as `darwin_core.record_of`, applied once to each distinct text: a property test
holds the two together. Pure, safe from any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from indexer.darwin_core import DATASET_TERMS, Defaults, identifying
from indexer.licences import normalise_licence
from indexer.records import RECORD_SCHEMA, image_ids_of, made_occurrence_id
from indexer.sources.columns import Columns
from indexer.sources.day_columns import days_of_columns
from indexer.sources.place_columns import or_unknown, places_of, with_remarks
from indexer.sources.text_columns import (
    Passing,
    distinct,
    is_empty,
    or_null,
    passing_of,
    plain,
    tidied,
)

_KEPT_TEXTS = {
    "observer": "recordedBy",
    "basis_of_record": "basisOfRecord",
    "rights_holder": "rightsHolder",
    "reference_url": "references",
    "media_url": "mediaURL",
}


def records_of(
    columns: Columns,
    row: pa.Array,
    ranks: Sequence[str],
    defaults: Defaults,
    *,
    media_refs: pa.Array | None = None,
) -> pa.Table:
    """Records without pictures and without cells, of the schema in `indexer.records`.

    `row` is each record's line or row in its file, int64. `media_refs` are the texts that tell the
    images of one occurrence apart, where it may have several.
    """
    name = columns.text("scientificName", is_name=True)
    lineage = [columns.text(rank, is_name=True) for rank in ranks]
    place = with_remarks(
        places_of(
            columns.raw("decimalLatitude"),
            columns.raw("decimalLongitude"),
            columns.raw("coordinateUncertaintyInMeters"),
        ),
        columns.text("informationWithheld"),
        columns.text("dataGeneralizations"),
    )
    days = days_of_columns(columns, defaults.as_of)
    occurrence_id, made = _occurrence_ids(columns, defaults.source_key)
    status = columns.text("occurrenceStatus")
    flags = place.flags | days.flags
    for wrong, flag in (
        (np.logical_and.reduce([is_empty(part) for part in (name, *lineage)]), Flag.NAME_MISSING),
        (made, Flag.OCCURRENCE_ID_MADE),
        (~is_empty(tidied(status, _absent)), Flag.RECORDED_ABSENT),
    ):
        flags = flags | np.where(wrong, np.int32(flag), np.int32(0))
    found = {
        "image_id": image_ids_of(defaults.source_key, occurrence_id, media_refs),
        "occurrence_id": occurrence_id,
        "scientific_name": name,
        "lineage": lineages(lineage, columns.rows),
        "common_name": columns.text("vernacularName"),
        "latitude": or_unknown(place.latitude),
        "longitude": or_unknown(place.longitude),
        "uncertainty_m": or_unknown(place.uncertainty_m),
        "observed_from": days.first,
        "observed_to": days.last,
        "licence": licence_codes(columns.text("license"), defaults.licence)[0],
        "flags": pa.array(flags, pa.int32()),
        "source_key": pa.repeat(pa.scalar(defaults.source_key, pa.string()), columns.rows),
        "row": row,
    }
    found |= {field: or_null(columns.text(term)) for field, term in _KEPT_TEXTS.items()}
    key, other = (columns.text(term) for term in DATASET_TERMS)
    found["dataset_key"] = or_null(pc.if_else(pa.array(is_empty(key)), plain(other), plain(key)))
    return record_table(found, columns.rows)


def record_table(found: Mapping[str, pa.Array], rows: int) -> pa.Table:
    """Columns as a table of records; a column that is not there is null in every row."""
    return pa.table(
        [
            found[field.name].cast(field.type)
            if field.name in found
            else pa.nulls(rows, field.type)
            for field in RECORD_SCHEMA
        ],
        schema=RECORD_SCHEMA,
    )


def with_columns(records: pa.Table, changed: Mapping[str, pa.Array]) -> pa.Table:
    """The records with these columns in place of their own."""
    for name, values in changed.items():
        at = records.schema.get_field_index(name)
        records = records.set_column(at, records.schema.field(at), values)
    return records


def licence_codes(text: pa.Array, default: str) -> tuple[pa.Array, Passing]:
    """The licence code to store for each row, and whether the atlas recognises it."""
    found = distinct(text)
    read = [normalise_licence(value or default) for value in found.values]
    codes = found.spread([licence and licence.code for licence in read], pa.string())
    known = [licence is not None and licence.recognised for licence in read]
    return codes, passing_of(found.spread(known, pa.bool_()))


def lineages(ranks: Sequence[pa.Array], rows: int) -> pa.Array:
    """One list of names a row, from the root down."""
    if ranks and all(pa.types.is_dictionary(rank.type) for rank in ranks):
        at = ranks[0].indices
        if all(rank.indices.equals(at) for rank in ranks[1:]):
            return lineages([rank.dictionary for rank in ranks], len(ranks[0].dictionary)).take(at)
    ranks = [plain(rank) for rank in ranks]
    by_rank = np.arange(len(ranks) * rows).reshape(len(ranks), rows)
    names = pa.concat_arrays(ranks).take(pa.array(by_rank.T.ravel()))
    offsets = np.arange(rows + 1, dtype=np.int32) * len(ranks)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names)


def _absent(status: str) -> str:
    return "absent" if status.casefold() == "absent" else ""


def _occurrence_ids(columns: Columns, source_key: str) -> tuple[pa.Array, Passing]:
    """The identifier of each row, and whether it had to be made from the row's content."""
    stated = columns.text("occurrenceID")
    made = is_empty(stated)
    if not made.any():
        return plain(stated), made
    ids = plain(stated).to_pylist()
    for at in np.flatnonzero(made).tolist():
        ids[at] = made_occurrence_id(source_key, identifying(columns.row(at)))
    return pa.array(ids, pa.string()), made
