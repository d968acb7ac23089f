"""The catalog's read side: joined rows, order, names, and many threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest

from atlas.bundle.flags import held_back_mask
from atlas.catalog import Catalog
from atlas.errors import BundleError, NotFound
from tests.catalog_factory import ImageCase, image_id_of, write_catalog

IMAGES = tuple(
    ImageCase(
        taxon_id=row % 9,
        cell=0x871EC9000FFFFFF if row % 2 else None,
        latitude=float(row % 80),
        longitude=1.5,
        uncertainty_m=30.0,
        observed_from=date(2021, 3, 1),
        observed_to=date(2021, 3, 4),
        source_id=row % 3,
        licence_id=0,
        media_licence_id=row % 3 if row % 4 else None,
        flags=row % 5,
    )
    for row in range(200)
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """A catalog of 200 images."""
    return Catalog.open(write_catalog(tmp_path_factory.mktemp("catalog") / "c.duckdb", IMAGES))


def test_images_come_in_the_order_asked(catalog: Catalog) -> None:
    """Hits are ordered by score; a catalog that answered by row id would mix them up."""
    asked = [17, 3, 199, 3, 0]
    rows = catalog.images(np.array(asked))
    assert [row.row_id for row in rows] == asked
    assert [row.image_id for row in rows] == [image_id_of(row_id) for row_id in asked]
    assert catalog.images([]) == ()


def test_an_image_row_is_joined(catalog: Catalog) -> None:
    """Every hit must carry its taxon, source and both licences, the right way round."""
    (row,) = catalog.images([5])
    assert row.taxon.scientific_name == "Passer"
    assert row.scientific_name == "a name as written"
    assert row.source.key == "survey"
    assert row.dataset_key == "50c9509d-22c7-4a22-a47d-8c48425ef4a7"
    assert row.licence is not None
    assert row.licence.code == "CC0-1.0"
    assert row.media_licence is not None
    assert row.media_licence.code == "CC-BY-NC-4.0"
    assert (row.cell, row.cell_resolution) == (0x871EC9000FFFFFF, 7)
    assert (row.observed_from, row.observed_to) == (date(2021, 3, 1), date(2021, 3, 4))
    (without,) = catalog.images([4])
    assert without.media_licence is None
    assert without.cell is None


def test_rows_and_image_ids_lead_to_each_other(catalog: Catalog) -> None:
    """A link to an image must come back to the row it was made from."""
    assert catalog.row_of(image_id_of(42)) == 42
    assert catalog.image_id_of(42) == image_id_of(42)


def test_catalogs_of_format_2_are_read(tmp_path: Path, catalog: Catalog) -> None:
    """Would break: a bundle that was built before cannot be served until it is built again."""
    path = write_catalog(tmp_path / "old.duckdb", IMAGES)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE old AS SELECT row_id, image_id, image.* EXCLUDE row_id FROM image "
            "JOIN image_stored_id USING (row_id) ORDER BY row_id; DROP TABLE image; "
            "ALTER TABLE old RENAME TO image; DROP TABLE image_key; CREATE TABLE image_key AS "
            "SELECT image_id, row_id FROM image ORDER BY image_id; DROP TABLE image_stored_id"
        )
    old = Catalog.open(path)
    assert old.images(range(200)) == catalog.images(range(200))
    assert old.row_of(image_id_of(42)) == 42
    assert old.image_ids([3, 500, 7]) == {3: image_id_of(3), 7: image_id_of(7)}
    with pytest.raises(NotFound):
        old.row_of(image_id_of(500))


def test_what_is_not_there_is_not_found(catalog: Catalog) -> None:
    """Each of these is a 404, never an empty answer or an index error."""
    for ask in (
        lambda: catalog.images([1, 500]),
        lambda: catalog.row_of(image_id_of(500)),
        lambda: catalog.image_id_of(500),
        lambda: catalog.taxon(77),
        lambda: catalog.taxon_interval(77),
        lambda: catalog.taxon_labels([1, 77]),
    ):
        with pytest.raises(NotFound):
            ask()


def test_a_taxon_knows_its_lineage_and_counts(catalog: Catalog) -> None:
    """The lineage runs from the root to the parent, and counts cover the subtree."""
    taxon = catalog.taxon(4)
    assert taxon.scientific_name == "Rana temporaria"
    assert [label.scientific_name for label in taxon.lineage] == ["Life", "Animalia", "Rana"]
    assert taxon.path == ("Animalia", "Rana", "Rana temporaria")
    assert catalog.taxon(0).images == 200
    assert catalog.taxon(0).parent_id is None
    assert catalog.taxon_interval(2) == (2, 4)
    assert [(name.kind, name.name) for name in catalog.taxon_names(4)] == [
        ("scientific", "Rana temporaria"),
        ("common", "common frog"),
    ]


def test_small_tables_and_flags(catalog: Catalog) -> None:
    """Filters translate names through these, and hide rows by this mask."""
    assert [source.key for source in catalog.sources()] == ["museum", "garden", "survey"]
    assert sum(source.rows for source in catalog.sources()) == 200
    assert [licence.hosting for licence in catalog.licences()] == [True, True, False]
    assert sum(flag.bit for flag in catalog.held_back_flags()) == held_back_mask()


def test_tables_bind_values_by_place_and_by_name(catalog: Catalog) -> None:
    """Other modules bring their SQL; values must be bound, not pasted."""
    by_place = catalog.table("SELECT row_id FROM image WHERE taxon_id = ? ORDER BY 1", [3])
    by_name = catalog.table("SELECT row_id FROM image WHERE taxon_id = $t ORDER BY 1", {"t": 3})
    assert by_place["row_id"].tolist() == by_name["row_id"].tolist() == list(range(3, 200, 9))
    assert catalog.rows("taxon_id = ?", [3]).tolist() == list(range(3, 200, 9))
    assert catalog.rows("taxon_id = ?", [3]).dtype == np.int64


def test_threads_get_their_own_answers(catalog: Catalog) -> None:
    """Threads on one DuckDB connection got each other's values; each call has its own cursor."""

    def ask(row_id: int) -> bool:
        (row,) = catalog.images([row_id])
        rows = catalog.rows("taxon_id = ?", [row_id % 9])
        return row.row_id == row_id and rows[0] == row_id % 9

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert all(pool.map(ask, [row % 200 for row in range(600)]))


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    """The server must say which file is wrong, not how DuckDB failed."""
    with pytest.raises(BundleError, match="missing"):
        Catalog.open(tmp_path / "none.duckdb")
    foreign = tmp_path / "foreign.duckdb"
    foreign.write_bytes(b"not a database at all" * 1_000)
    with pytest.raises(BundleError, match="not a catalog"):
        Catalog.open(foreign)


def test_the_catalog_cannot_reach_other_files(catalog: Catalog, tmp_path: Path) -> None:
    """SQL that slipped through must not read the server's disk."""
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with pytest.raises(Exception, match="disabled"):
        catalog.table("SELECT * FROM read_csv(?)", [str(secret)])


def test_a_catalog_from_before_data_sets_were_kept_is_read(tmp_path: Path) -> None:
    """A server that is renewed goes on with the bundle that it has."""
    path = write_catalog(tmp_path / "c.duckdb", IMAGES[:3])
    with duckdb.connect(str(path)) as connection:
        connection.execute("ALTER TABLE image DROP COLUMN dataset_key")
    rows = Catalog.open(path).images([0, 2])
    assert [(row.row_id, row.dataset_key) for row in rows] == [(0, None), (2, None)]
