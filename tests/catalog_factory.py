"""Small catalogs in DuckDB files, with every table that the read side knows.

For tests of what reads a catalog; counts of maps are stored nowhere, so they are counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb
import msgspec

from atlas.bundle.flags import FLAGS, held_back_mask
from atlas.bundle.image_ids import id_number, key_order
from atlas.search.alike import LEAST_COSINE, NEAR_ROWS

FINEST = 7


class TaxonCase(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `taxon`, without its counts."""

    taxon_id: int
    last_descendant: int
    parent_id: int | None
    rank: str
    scientific_name: str
    common_name: str | None = None
    lineage: tuple[int, ...] = ()
    path: tuple[str, ...] = ("", "", "")


class ImageCase(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `image`; its row id is its place in the list."""

    taxon_id: int = 0
    cell: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    uncertainty_m: float | None = None
    observed_from: date | None = None
    observed_to: date | None = None
    source_id: int = 0
    licence_id: int | None = None
    media_licence_id: int | None = None
    flags: int = 0
    observer: str | None = None
    media_type: str | None = None

    @property
    def month(self) -> int | None:
        """The month, where the whole date range is inside one."""
        if self.observed_from is None or self.observed_to is None:
            return None
        first = (self.observed_from.year, self.observed_from.month)
        last = (self.observed_to.year, self.observed_to.month)
        return first[1] if first == last else None


TAXA = (
    TaxonCase(taxon_id=0, last_descendant=8, parent_id=None, rank="root", scientific_name="Life"),
    TaxonCase(
        taxon_id=1,
        last_descendant=6,
        parent_id=0,
        rank="kingdom",
        scientific_name="Animalia",
        common_name="animals",
        lineage=(0,),
        path=("Animalia", "", ""),
    ),
    TaxonCase(
        taxon_id=2,
        last_descendant=4,
        parent_id=1,
        rank="genus",
        scientific_name="Rana",
        lineage=(0, 1),
        path=("Animalia", "Rana", ""),
    ),
    TaxonCase(
        taxon_id=3,
        last_descendant=3,
        parent_id=2,
        rank="species",
        scientific_name="Rana arvalis",
        common_name="moor frog",
        lineage=(0, 1, 2),
        path=("Animalia", "Rana", "Rana arvalis"),
    ),
    TaxonCase(
        taxon_id=4,
        last_descendant=4,
        parent_id=2,
        rank="species",
        scientific_name="Rana temporaria",
        common_name="common frog",
        lineage=(0, 1, 2),
        path=("Animalia", "Rana", "Rana temporaria"),
    ),
    TaxonCase(
        taxon_id=5,
        last_descendant=6,
        parent_id=1,
        rank="genus",
        scientific_name="Passer",
        lineage=(0, 1),
        path=("Animalia", "Passer", ""),
    ),
    TaxonCase(
        taxon_id=6,
        last_descendant=6,
        parent_id=5,
        rank="species",
        scientific_name="Passer domesticus",
        common_name="house sparrow",
        lineage=(0, 1, 5),
        path=("Animalia", "Passer", "Passer domesticus"),
    ),
    TaxonCase(
        taxon_id=7,
        last_descendant=8,
        parent_id=0,
        rank="kingdom",
        scientific_name="Plantae",
        lineage=(0,),
        path=("Plantae", "", ""),
    ),
    TaxonCase(
        taxon_id=8,
        last_descendant=8,
        parent_id=7,
        rank="species",
        scientific_name="Quercus robur",
        common_name="pedunculate oak",
        lineage=(0, 7),
        path=("Plantae", "", "Quercus robur"),
    ),
)

SOURCES = ("museum", "garden", "survey")
LICENCES = ("CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0")


def image_id_of(row_id: int) -> uuid.UUID:
    """The image id that the factory gives a row."""
    return uuid.uuid5(uuid.NAMESPACE_OID, str(row_id))


def write_catalog(
    path: Path,
    images: Sequence[ImageCase],
    taxa: Sequence[TaxonCase] = TAXA,
    duplicates: Mapping[int, int] | None = None,
) -> Path:
    """Write a catalog of these images; returns its path.

    `duplicates` are rows by the row that they repeat, found by the usual rule; None makes a catalog
    as it was before there were any.
    """
    with duckdb.connect(str(path)) as connection:
        connection.execute(_TABLES)
        _fill(connection, "taxon", [_taxon_row(taxon, images) for taxon in taxa])
        _fill(
            connection,
            "taxon_name",
            [
                (name.casefold(), name, taxon.taxon_id, kind, language)
                for taxon in taxa
                for name, kind, language in (
                    (taxon.scientific_name, "scientific", None),
                    (taxon.common_name, "common", "en"),
                )
                if name is not None
            ],
        )
        observers = ["", *sorted({image.observer for image in images if image.observer})]
        _fill(connection, "observer", list(enumerate(observers)))
        numbers = {name: number for number, name in enumerate(observers)}
        _fill(
            connection,
            "image",
            [_image_row(i, image, numbers) for i, image in enumerate(images)],
        )
        _fill(connection, "image_stored_id", [(i, image_id_of(i)) for i in range(len(images))])
        connection.execute(
            f"INSERT INTO image_key SELECT {id_number('image_id')} AS id_number, row_id "
            f"FROM image_stored_id ORDER BY {key_order()};"
            "INSERT INTO image_by_cell SELECT cell, row_id, taxon_id, observed_from, "
            "observed_to - observed_from, observer_id, uncertainty_m, source_id, counted "
            "FROM image WHERE cell IS NOT NULL ORDER BY cell, taxon_id, row_id"
        )
        counts = [sum(image.source_id == i for image in images) for i in range(len(SOURCES))]
        _fill(
            connection,
            "source",
            [
                (i, key, key.title(), f"The {key}.", "CC0-1.0", f"https://{key}.test", "folder", n)
                for i, (key, n) in enumerate(zip(SOURCES, counts, strict=True))
            ],
        )
        _fill(
            connection,
            "licence",
            [(i, code, code, f"https://{i}.test", i < 2) for i, code in enumerate(LICENCES)],
        )
        _fill(
            connection,
            "flag",
            [(int(f.flag), f.name, f.meaning, f.held_back) for f in FLAGS],
        )
        if duplicates is not None:
            _add_duplicates(connection, duplicates)
    return path


def _add_duplicates(connection: duckdb.DuckDBPyConnection, behind: Mapping[int, int]) -> None:
    connection.execute(_DUPLICATE_TABLES)
    pairs = sorted(behind.items())
    _fill(connection, "duplicate", [(row, first, "burst") for row, first in pairs])
    _fill(connection, "duplicate_by_first", sorted((first, row) for row, first in pairs))
    firsts = len(set(behind.values()))
    rule = ("small", LEAST_COSINE, NEAR_ROWS, firsts, firsts + len(behind))
    _fill(connection, "duplicate_rule", [rule])


def _fill(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]
) -> None:
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _taxon_row(taxon: TaxonCase, images: Sequence[ImageCase]) -> tuple[object, ...]:
    below = range(taxon.taxon_id, taxon.last_descendant + 1)
    return (
        taxon.taxon_id,
        taxon.last_descendant,
        taxon.parent_id,
        len(taxon.lineage),
        taxon.rank,
        taxon.scientific_name,
        taxon.common_name,
        list(taxon.lineage),
        list(taxon.path),
        sum(image.taxon_id in below for image in images),
        sum(image.taxon_id == taxon.taxon_id for image in images),
    )


def _image_row(row_id: int, image: ImageCase, observers: Mapping[str, int]) -> tuple[object, ...]:
    return (
        row_id,
        f"occurrence-{row_id}",
        image.taxon_id,
        "a name as written",
        image.cell,
        None if image.cell is None else (image.cell >> 52) & 15,
        image.latitude,
        image.longitude,
        image.uncertainty_m,
        image.observed_from,
        image.observed_to,
        image.month,
        observers[image.observer or ""],
        "HumanObservation",
        "50c9509d-22c7-4a22-a47d-8c48425ef4a7",
        image.source_id,
        image.licence_id,
        image.media_licence_id,
        "A. Holder",
        "https://records.test/1",
        "https://media.test/1.jpg",
        image.media_type,
        image.flags,
        # Each of these photos is a record of its own.
        image.cell is not None and image.flags & held_back_mask() == 0,
    )


_TABLES = """
CREATE TABLE taxon (taxon_id INTEGER, last_descendant INTEGER, parent_id INTEGER, depth INTEGER,
    rank VARCHAR, scientific_name VARCHAR, common_name VARCHAR, lineage INTEGER[], path VARCHAR[],
    images BIGINT, images_here BIGINT);
CREATE TABLE taxon_name (folded VARCHAR, name VARCHAR, taxon_id INTEGER, kind VARCHAR,
    language VARCHAR);
CREATE TABLE image (row_id BIGINT, occurrence_id VARCHAR, taxon_id INTEGER,
    scientific_name VARCHAR, cell UBIGINT, cell_resolution TINYINT, latitude DOUBLE,
    longitude DOUBLE, uncertainty_m FLOAT, observed_from DATE, observed_to DATE, month TINYINT,
    observer_id INTEGER, basis_of_record VARCHAR, dataset_key VARCHAR, source_id SMALLINT,
    licence_id SMALLINT, media_licence_id SMALLINT, rights_holder VARCHAR, reference_url VARCHAR,
    media_url VARCHAR, media_type VARCHAR, flags INTEGER, counted BOOLEAN);
CREATE TABLE image_stored_id (row_id BIGINT, image_id UUID);
CREATE TABLE image_key (id_number UINTEGER, row_id BIGINT);
CREATE TABLE observer (observer_id INTEGER, name VARCHAR);
CREATE TABLE image_by_cell (cell UBIGINT, row_id BIGINT, taxon_id INTEGER, observed_from DATE,
    span_days INTEGER, observer_id INTEGER, uncertainty_m FLOAT, source_id SMALLINT,
    counted BOOLEAN);
CREATE TABLE occupancy (taxon_id INTEGER, resolution TINYINT, cell UBIGINT, n INTEGER,
    n_coarse INTEGER, observers INTEGER, visits INTEGER, incidences INTEGER, species INTEGER,
    q1 INTEGER, q2 INTEGER, first_day DATE, last_day DATE, min_uncertainty_m FLOAT);
CREATE TABLE occupancy_run (taxon_id INTEGER, resolution TINYINT, rows BIGINT);
CREATE TABLE species_cell (resolution TINYINT, cell UBIGINT, taxon_id INTEGER, n INTEGER,
    visits INTEGER, last_day DATE);
CREATE TABLE held_back (taxon_id INTEGER, flags INTEGER, records BIGINT);
CREATE TABLE source (source_id SMALLINT, key VARCHAR, title VARCHAR, citation VARCHAR,
    licence VARCHAR, url VARCHAR, kind VARCHAR, rows BIGINT);
CREATE TABLE licence (licence_id SMALLINT, code VARCHAR, title VARCHAR, url VARCHAR,
    hosting BOOLEAN);
CREATE TABLE flag (bit INTEGER, name VARCHAR, meaning VARCHAR, held_back BOOLEAN);
"""
_DUPLICATE_TABLES = """
CREATE TABLE duplicate (row_id BIGINT, first_row BIGINT, kind VARCHAR);
CREATE TABLE duplicate_by_first (first_row BIGINT, row_id BIGINT);
CREATE TABLE duplicate_rule (space VARCHAR, least_cosine DOUBLE, near_rows INTEGER, groups BIGINT,
    rows BIGINT);
"""
