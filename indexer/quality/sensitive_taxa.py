"""Finds the records of sensitive taxa and makes their places coarse, before anything is stored.

What is left of such a record tells no more than its grid point: neither do its identifiers, links
and flags. Pure on columns of records; any process.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from atlas.bundle.flags import Flag
from atlas.bundle.image_ids import image_id_of
from atlas.errors import InvalidQuery, PlanError
from atlas.geo.shapes import BoundingBox
from atlas.species.sensitive import (
    CATEGORIES,
    Category,
    category_of,
    generalise,
    may_lie_in,
)
from atlas.species.taxa import fold
from indexer.darwin_core import with_cells
from indexer.quality.rule_table import MORE, rules_in
from indexer.records import made_occurrence_id

Passing = npt.NDArray[np.bool_]
Words = tuple[str, ...]

# Flags that say something of the exact place, and are taken from a record that loses it.
PLACE_FLAGS = (
    Flag.UNCERTAINTY_INVALID
    | Flag.UNCERTAINTY_COARSE
    | Flag.COORDINATES_EQUAL
    | Flag.ON_COUNTRY_CENTROID
    | Flag.ON_CAPITAL
    | Flag.ON_INSTITUTION
    | Flag.UNCERTAINTY_SUSPECT
    | Flag.SEA_FOR_LAND_TAXON
    | Flag.OUTSIDE_REGION
)
# A number to a hundredth or finer may be a coordinate; one before a slash is part of a DOI.
_LIKE_COORDINATE = re.compile(r"(?<![\d.,])\d{1,3}[.,]\d{2,}(?![\d.,]*(?:/|%2F))", re.IGNORECASE)
_TELLING = (
    "observer",
    "basis_of_record",
    "dataset_key",
    "rights_holder",
    "reference_url",
    "media_url",
)
_DOUBTS = frozenset({"cf.", "cf", "aff.", "aff", "nr.", "nr", "?", "x", "\u00d7"})


class Rule(NamedTuple):
    """A taxon by the folded words of its name, how coarse it becomes, and where (WKB, or all)."""

    words: Words
    category: Category
    region: bytes | None


class SensitiveTaxa(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one table; `digest` is the SHA-256 of the file, "" where there is none."""

    rules: tuple[Rule, ...] = ()
    digest: str = ""

    @classmethod
    def read(cls, path: Path | None) -> SensitiveTaxa:
        """Read a table. Raises PlanError with file and line where a row cannot be understood."""
        if path is None:
            return cls()
        found = rules_in(path, ("taxon", "category"))
        rules = tuple(_rule_of(path, line, row) for line, row in found)
        return cls(rules=rules, digest=hashlib.sha256(path.read_bytes()).hexdigest())

    def category_of_rows(self, records: pa.Table) -> npt.NDArray[np.int8]:
        """For each record the position in `CATEGORIES` of its strictest category, -1 for none."""
        found = np.full(records.num_rows, len(CATEGORIES), np.int8)
        names = _names_of(records)
        lat, lon = (records[name].to_numpy() for name in ("latitude", "longitude"))
        for rule in self.rules:
            rows = names.rows_of(rule.words)
            if rule.region is not None and len(rows):
                region = shapely.from_wkb(rule.region)
                rows = rows[may_lie_in(lat[rows], lon[rows], rule.category, region)]
            found[rows] = np.minimum(found[rows], CATEGORIES.index(rule.category))
        return np.where(found == len(CATEGORIES), np.int8(-1), found)

    def hide(self, records: pa.Table, resolution: int) -> pa.Table:
        """The records with the places of sensitive taxa made coarse, in the same order."""
        if not self.rules:
            return records
        categories = self.category_of_rows(records)
        if (categories < 0).all():
            return records
        pieces = [records.filter(pa.array(categories < 0))]
        order = [np.flatnonzero(categories < 0)]
        for number, category in enumerate(CATEGORIES):
            rows = np.flatnonzero(categories == number)
            if len(rows):
                pieces.append(_hidden(records.take(pa.array(rows)), category, resolution))
                order.append(rows)
        back = np.argsort(np.concatenate(order), kind="stable")
        return pa.concat_tables(pieces).take(pa.array(back)).combine_chunks()


class _Names(NamedTuple):
    """Distinct names of a part's records as folded words, and the rows that carry each."""

    words: list[Words]
    name: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]

    def rows_of(self, taxon: Words) -> npt.NDArray[np.int64]:
        """Rows with a name that is the taxon's or begins with it, sorted and distinct."""
        length = len(taxon)
        hit = np.array([words[:length] == taxon for words in self.words], bool)
        return np.unique(self.row[hit[self.name]])


def _names_of(records: pa.Table) -> _Names:
    """All names of all ranks, the record's own, and genus and epithet where they stand apart."""
    rows = np.arange(records.num_rows)
    lineage = records["lineage"].combine_chunks()
    ranks = len(lineage.flatten()) // max(len(rows), 1)
    by_rank = [pc.list_element(lineage, at) for at in range(ranks)]
    pairs = [
        pc.binary_join_element_wise(above, name, " ") for above, name in itertools.pairwise(by_rank)
    ]
    columns = [_whole(records["scientific_name"]), *by_rank, *pairs]
    text = pa.concat_arrays(columns).dictionary_encode()
    words = [_words_of(name) for name in text.dictionary.to_pylist()]
    return _Names(words, text.indices.to_numpy(), np.tile(rows, len(columns)))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())


def _words_of(name: str) -> Words:
    """A name's words as they are compared: no case, accents, subgenus or words of doubt."""
    plain = re.sub(r"\([^)]*\)", " ", name)
    return tuple(word for word in fold(plain).split() if word not in _DOUBTS)


def _hidden(records: pa.Table, category: Category, resolution: int) -> pa.Table:
    """Records that are all of one category, with their places made coarse."""
    columns = {name: records[name] for name in records.column_names}
    flags = records["flags"].to_numpy() & ~np.int32(PLACE_FLAGS)
    flag = Flag.LOCATION_WITHHELD if category == "withheld" else Flag.LOCATION_GENERALISED
    lat, lon, uncertainty_m = (
        records[name].cast(pa.float64()).to_numpy()
        for name in ("latitude", "longitude", "uncertainty_m")
    )
    places = generalise(lat, lon, uncertainty_m, category)
    for name, values in places._asdict().items():
        field = records.schema.field(name)
        columns[name] = pa.array(values, mask=np.isnan(values)).cast(field.type)
    columns["flags"] = pa.array(flags | np.int32(flag), pa.int32())
    for name in _TELLING:
        columns[name] = _untelling(records[name])
    columns |= _ids(records)
    return with_cells(pa.table(columns, schema=records.schema), resolution)


def _untelling(text: pa.ChunkedArray) -> pa.Array:
    """The texts, null where one may hold a coordinate."""
    kept = [
        None if value is None or _LIKE_COORDINATE.search(value) else value
        for value in text.to_pylist()
    ]
    return pa.array(kept, text.type)


def _ids(records: pa.Table) -> dict[str, pa.Array]:
    """Identifiers that do not follow from the place.

    One that was made from all that a row says, or from the name of a file that holds the place,
    could be tried out: whoever knows the rest makes it for every place until it fits. The row's
    number stands for what tells.
    """
    ids: dict[str, list[str]] = {"occurrence_id": [], "image_id": []}
    rows = records.select(["source_key", "occurrence_id", "image_id", "media_ref", "row", "flags"])
    for row in rows.to_pylist():
        source_key, occurrence_id, image_id = (
            row[name] for name in ("source_key", "occurrence_id", "image_id")
        )
        media_ref, number = row["media_ref"] or "", f"row {row['row']}"
        telling = bool(_LIKE_COORDINATE.search(media_ref))
        made = bool(row["flags"] & Flag.OCCURRENCE_ID_MADE)
        if made or _LIKE_COORDINATE.search(occurrence_id):
            occurrence_id = made_occurrence_id(source_key, {"row": number})
        if telling or occurrence_id != row["occurrence_id"]:
            image_id = image_id_of(source_key, occurrence_id, number if telling else media_ref)
        ids["occurrence_id"].append(occurrence_id)
        ids["image_id"].append(image_id)
    return {name: pa.array(values, pa.string()) for name, values in ids.items()}


def _rule_of(path: Path, line: int, row: dict[str, str]) -> Rule:
    if row.get(MORE):
        raise PlanError(path, "has more fields than the header; put a region in quotes", line)
    words = _words_of(row["taxon"] or "")
    if not words:
        raise PlanError(path, "names no taxon", line)
    category = category_of(row["category"] or "")
    if category is None:
        raise PlanError(
            path, f"`category` is {row['category']!r}, not withheld, 1 to 4 or degrees", line
        )
    written = (row.get("region") or "").strip()
    try:
        return Rule(words, category, _region_of(written) if written else None)
    except (ValueError, InvalidQuery, shapely.errors.GEOSException) as error:
        raise PlanError(path, f"`region` is neither a box nor WKT: {error}", line) from error


def _region_of(text: str) -> bytes:
    """A box of four numbers, or WKT, as WKB. ValueError where it is neither."""
    if text[0].isalpha():
        shape = shapely.from_wkt(text)
        if shape.is_empty or not shape.is_valid or shape.area == 0:
            raise ValueError("the shape has no area or crosses itself")
    else:
        west, south, east, north = map(float, text.replace(",", " ").split())
        shape = BoundingBox(west, south, east, north).geometry
    return bytes(shapely.to_wkb(shape))
