"""Records of the pictures of a catalog, from the columns that `shard_catalog` has joined.

Knows what TreeOfLife-200M means by its columns, not where a picture lies. Works on whole columns;
pure, safe from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from indexer.darwin_core import Defaults, clean
from indexer.licences import normalise_licence
from indexer.sources.columns import Columns
from indexer.sources.darwin_columns import licence_codes, records_of, with_columns
from indexer.sources.shard_catalog import CATALOG_COLUMNS, PROVENANCE_COLUMNS
from indexer.sources.shard_files import TAR
from indexer.sources.text_columns import distinct, is_empty, or_null, text_of, tidied

_GBIF = "https://www.gbif.org/occurrence/"
_UNSTATED = frozenset({"not provided", "not specified", "unknown"})
_TEXTS = (*(name for name in CATALOG_COLUMNS if name != "uuid"), *PROVENANCE_COLUMNS)


def records_of_pictures(
    table: pa.Table, ranks: Sequence[str], defaults: Defaults, with_pictures: bool
) -> pa.Table:
    """Records without cells of rows that stand in the catalog, each with its UUID as image id.

    `with_pictures`: their `media_ref` says where the picture lies, `SHARD@BYTE+LENGTH` in a tar and
    `SHARD@ROW` in a table.
    """
    given = Columns({name: text_of(table[name]) for name in _TEXTS}, table.num_rows)
    ids = text_of(table["id"])
    made = is_empty(given.text("source_id"))
    row = table["row"].combine_chunks().cast(pa.int64())
    terms = Columns(_terms(table, given, ids, ranks), table.num_rows)
    records = records_of(terms, row, ranks, defaults)
    licence = _licences(given.raw("license_name"), given.raw("license_link"))
    codes, known = licence_codes(licence, defaults.media_licence)
    flags = records["flags"].to_numpy()
    flags = flags | np.where(known, 0, int(Flag.MEDIA_LICENCE_UNKNOWN))
    flags = flags | np.where(made, int(Flag.OCCURRENCE_ID_MADE), 0)
    changed = {
        "image_id": ids,
        "media_licence": codes,
        "flags": pa.array(flags.astype(np.int32)),
    }
    if with_pictures:
        changed["media_ref"] = _references(table)
    return with_columns(records, changed)


def _terms(
    table: pa.Table, given: Columns, ids: pa.Array, ranks: Sequence[str]
) -> dict[str, pa.Array]:
    """Darwin Core terms and ranks; the identifier of a record is that of its source."""
    source, number = given.text("data_source"), given.text("source_id")
    stated = pc.if_else(
        pa.array(is_empty(source)), number, pc.binary_join_element_wise(source, number, ":")
    )
    made = pc.binary_join_element_wise("urn:uuid:", ids, "")
    is_gbif = pc.and_(pc.equal(source, "gbif"), pc.match_substring_regex(number, r"^\d+$"))
    terms = {
        "occurrenceID": pc.if_else(pa.array(is_empty(number)), made, stated),
        "scientificName": given.raw("scientific_name"),
        "vernacularName": given.raw("common"),
        "basisOfRecord": given.raw("basisOfRecord"),
        "mediaURL": given.raw("source_url"),
        "references": pc.if_else(is_gbif, pc.binary_join_element_wise(_GBIF, number, ""), ""),
        "rightsHolder": tidied(given.raw("copyright_owner"), _stated),
    }
    names = {rank: text_of(table[f"rank {rank}"]) for rank in ranks}
    if "species" in names and "genus" in names:
        names["species"] = _placed_epithets(names["species"], names["genus"])
    return terms | names


def _references(table: pa.Table) -> pa.Array:
    shard, at, size = (text_of(table[name]) for name in ("shard", "at", "size_bytes"))
    in_tar = pc.ends_with(pc.utf8_lower(shard), TAR)
    place = pc.binary_join_element_wise(shard, at, "@")
    return or_null(pc.if_else(in_tar, pc.binary_join_element_wise(place, size, "+"), place))


def _placed_epithets(species: pa.Array, genus: pa.Array) -> pa.Array:
    """The species, "" for an epithet whose genus is not known: alone it names no species.

    The catalog writes the epithet alone; with its genus the tree of taxa makes a binomial of it.
    """
    alone = pc.match_substring_regex(pc.utf8_trim_whitespace(species), r"^[^A-Z\s]+$")
    return pc.if_else(pc.and_(alone, pa.array(is_empty(tidied(genus, clean)))), "", species)


def _stated(text: str) -> str:
    """The text, "" for the words by which the provenance says that it knows nothing."""
    cleaned = clean(text)
    return "" if cleaned.casefold() in _UNSTATED else cleaned


def _licences(name: pa.Array, link: pa.Array) -> pa.Array:
    """The licence of each picture: by its link where that is one the atlas knows, else by name."""
    found = distinct(pc.binary_join_element_wise(name, link, "\x1f"))
    read = [_licence(*joined.split("\x1f", 1)) for joined in found.values]
    return found.spread(read, pa.string())


def _licence(name: str, link: str) -> str:
    linked = normalise_licence(clean(link))
    if linked is not None and linked.recognised:
        return clean(link)
    return _stated(name) or clean(link)
