"""Records by row, taxa, groups of duplicates, sources, licences and flags, from their tables.

Knows tables, not questions: filters and maps bring their own SQL. Safe from any thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.image_ids import IdForm, form_of_ids, ids_of_rows, rows_of_number
from atlas.catalog.file import CatalogFile
from atlas.catalog.rows import (
    DuplicateRule,
    ImageRow,
    Licence,
    QualityFlag,
    Source,
    Taxon,
    TaxonLabel,
    TaxonNameRow,
)
from atlas.errors import NotFound

RowIds = npt.NDArray[np.int64]

# First pick the rows, then join: with the pick materialised the join never scans `image` again. The
# ids come as one list parameter: a join that skips every block without one of them (4 ms for 30 of
# 3 million rows), where as many numbers written out are compared one by one (59 ms).
_ROWS = "SELECT unnest($rows::BIGINT[])"
_IMAGES = """
WITH chosen AS MATERIALIZED (SELECT * FROM image WHERE row_id IN ({rows})),
identity AS MATERIALIZED ({identities})
SELECT chosen.row_id, identity.image_id, occurrence_id, chosen.taxon_id,
    taxon.scientific_name AS taxon_name, taxon.common_name, taxon.rank, chosen.scientific_name,
    cell, cell_resolution, latitude, longitude, uncertainty_m, observed_from, observed_to,
    nullif(observer.name, '') AS observer, basis_of_record, {dataset_key} AS dataset_key, source_id,
    licence_id, media_licence_id, rights_holder, reference_url, media_url, media_type, flags
FROM chosen JOIN taxon USING (taxon_id) JOIN observer USING (observer_id)
JOIN identity ON identity.row_id = chosen.row_id
"""


class Catalog(CatalogFile):
    """An open catalog; close it when its bundle is no longer served."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        """Use `Catalog.open`."""
        super().__init__(connection, path)
        with self._cursor() as cursor:
            form: IdForm = form_of_ids(cursor)
            dataset_key = _dataset_key(cursor)
        identities = ids_of_rows(_ROWS, form)
        self._sql_of_images = _IMAGES.format(
            rows=_ROWS, identities=identities, dataset_key=dataset_key
        )
        self._sql_of_ids = identities
        self._sql_of_number = rows_of_number(form)
        # A few rows each, immutable with the bundle: read once.
        self._sources = {
            row["source_id"]: msgspec.convert(row, Source)
            for row in self._records(f"SELECT {_columns(Source)} FROM source ORDER BY source_id")
        }
        self._licences = {
            row["licence_id"]: msgspec.convert(row, Licence)
            for row in self._records(f"SELECT {_columns(Licence)} FROM licence ORDER BY licence_id")
        }
        self.duplicate_rule = self._read_duplicate_rule()

    def rows(self, condition: str, parameters: Sequence[object] = ()) -> RowIds:
        """Row ids of the images that meet an SQL condition on `image`, sorted, (n,) int64."""
        found = self.table(f"SELECT row_id FROM image WHERE {condition}", parameters)["row_id"]
        # A scan keeps the order of the table, which is that of the ids; sorting what is sorted
        # costs one pass, and makes the order a promise.
        return np.sort(np.asarray(found, np.int64), kind="stable")

    def images(self, row_ids: Sequence[int] | RowIds) -> tuple[ImageRow, ...]:
        """Rows by id, in the order asked; NotFound when one does not exist."""
        if len(row_ids) == 0:
            return ()
        wanted = [int(row_id) for row_id in row_ids]
        found = {
            record["row_id"]: self._image(record)
            for record in self._records(self._sql_of_images, {"rows": sorted(set(wanted))})
        }
        missing = [row_id for row_id in wanted if row_id not in found]
        if missing:
            raise NotFound("row", str(missing[0]))
        return tuple(found[row_id] for row_id in wanted)

    def _image(self, record: dict[str, Any]) -> ImageRow:
        taxon = TaxonLabel(
            taxon_id=record.pop("taxon_id"),
            scientific_name=record.pop("taxon_name"),
            common_name=record.pop("common_name"),
            rank=record.pop("rank"),
        )
        return ImageRow(
            taxon=taxon,
            source=self._sources[record.pop("source_id")],
            licence=self._licence(record.pop("licence_id")),
            media_licence=self._licence(record.pop("media_licence_id")),
            **record,
        )

    def _licence(self, licence_id: int | None) -> Licence | None:
        return None if licence_id is None else self._licences[licence_id]

    def row_of(self, image_id: uuid.UUID) -> int:
        """Row id of an image; NotFound when the atlas has none by this id."""
        found = self._records(self._sql_of_number, {"image_id": image_id})
        for row_id, own in self.image_ids([record["row_id"] for record in found]).items():
            if own == image_id:
                return row_id
        raise NotFound("image", str(image_id))

    def image_id_of(self, row_id: int) -> uuid.UUID:
        """Image id of a row; NotFound when there is no such row."""
        found = self.image_ids([row_id])
        if row_id not in found:
            raise NotFound("row", str(row_id))
        return found[row_id]

    def image_ids(self, row_ids: Sequence[int]) -> dict[int, uuid.UUID]:
        """Image ids by row id; rows that do not exist are not in the answer."""
        if not row_ids:
            return {}
        found = self._records(self._sql_of_ids, {"rows": list(row_ids)})
        return {record["row_id"]: record["image_id"] for record in found}

    def _read_duplicate_rule(self) -> DuplicateRule | None:
        """None for a bundle that was built before duplicates were grouped."""
        known = "SELECT 1 FROM information_schema.tables WHERE table_name = 'duplicate_rule'"
        if not self._records(known):
            return None
        (found,) = self._records(f"SELECT {_columns(DuplicateRule)} FROM duplicate_rule")
        return DuplicateRule(**found)

    def duplicate_of(self, row_id: int) -> uuid.UUID | None:
        """The image that a row repeats; None where it repeats none or nothing is known."""
        if self.duplicate_rule is None:
            return None
        found = self._records("SELECT first_row FROM duplicate WHERE row_id = ?", [row_id])
        return self.image_id_of(found[0]["first_row"]) if found else None

    def duplicates_of(self, row_id: int) -> int:
        """How many images repeat a row."""
        if self.duplicate_rule is None:
            return 0
        counted = "SELECT count(*) AS n FROM duplicate_by_first WHERE first_row = ?"
        return int(self._records(counted, [row_id])[0]["n"])

    def duplicate_groups(self, row_ids: RowIds) -> dict[int, RowIds]:
        """All rows of each row's group, sorted, by row; a row without a group is not in it.

        There is a `duplicate_rule`.
        """
        found = self.table(
            "SELECT row_id, first_row FROM duplicate WHERE row_id IN (SELECT unnest(?::BIGINT[]))",
            [row_ids],
        )
        first_of = dict(zip(row_ids.tolist(), row_ids.tolist(), strict=True))
        first_of |= zip(found["row_id"].tolist(), found["first_row"].tolist(), strict=True)
        listed = self.table(
            "SELECT first_row, row_id FROM duplicate_by_first "
            "WHERE first_row IN (SELECT unnest(?::BIGINT[])) ORDER BY first_row, row_id",
            [np.unique(np.array(list(first_of.values()), np.int64))],
        )
        firsts, begins = np.unique(np.asarray(listed["first_row"], np.int64), return_index=True)
        members = np.split(np.asarray(listed["row_id"], np.int64), begins[1:])
        groups = {
            first: np.sort(np.append(rows, first))
            for first, rows in zip(firsts.tolist(), members, strict=False)
        }
        return {row: groups[first] for row, first in first_of.items() if first in groups}

    def taxon(self, taxon_id: int) -> Taxon:
        """One taxon with its lineage and counts; NotFound when there is none by this id."""
        found = self._records("SELECT * FROM taxon WHERE taxon_id = ?", [taxon_id])
        if not found:
            raise NotFound("taxon", str(taxon_id))
        record = found[0]
        labels = {label.taxon_id: label for label in self.taxon_labels(record["lineage"])}
        record["lineage"] = tuple(labels[ancestor] for ancestor in record["lineage"])
        return msgspec.convert(record, Taxon, strict=True)

    def taxon_labels(self, taxon_ids: Sequence[int] | RowIds) -> tuple[TaxonLabel, ...]:
        """Names of taxa, in the order asked; NotFound when one does not exist."""
        if len(taxon_ids) == 0:
            return ()
        wanted = [int(taxon_id) for taxon_id in taxon_ids]
        listed = ", ".join(map(str, sorted(set(wanted))))
        found = {
            record["taxon_id"]: TaxonLabel(**record)
            for record in self._records(
                f"SELECT {_columns(TaxonLabel)} FROM taxon WHERE taxon_id IN ({listed})"
            )
        }
        missing = [taxon_id for taxon_id in wanted if taxon_id not in found]
        if missing:
            raise NotFound("taxon", str(missing[0]))
        return tuple(found[taxon_id] for taxon_id in wanted)

    def taxon_names(self, taxon_id: int) -> tuple[TaxonNameRow, ...]:
        """Every name of a taxon, scientific first, then by name."""
        return tuple(
            TaxonNameRow(**record)
            for record in self._records(
                "SELECT DISTINCT name, kind, language FROM taxon_name WHERE taxon_id = ? "
                "ORDER BY kind DESC, name, language",
                [taxon_id],
            )
        )

    def taxon_interval(self, taxon_id: int) -> tuple[int, int]:
        """First and last taxon id of a subtree; NotFound when there is no such taxon."""
        found = self._records("SELECT last_descendant FROM taxon WHERE taxon_id = ?", [taxon_id])
        if not found:
            raise NotFound("taxon", str(taxon_id))
        return taxon_id, int(found[0]["last_descendant"])

    def sources(self) -> tuple[Source, ...]:
        """All sources, by id."""
        return tuple(self._sources.values())

    def licences(self) -> tuple[Licence, ...]:
        """All licences that a record or a photo carries, by id."""
        return tuple(self._licences.values())

    def held_back_flags(self) -> tuple[QualityFlag, ...]:
        """The quality flags that the default filter holds back, by bit."""
        found = self._records(
            f"SELECT {_columns(QualityFlag)} FROM flag WHERE held_back ORDER BY bit"
        )
        return tuple(QualityFlag(**record) for record in found)


def _columns(kind: type[msgspec.Struct]) -> str:
    return ", ".join(kind.__struct_fields__)


def _dataset_key(cursor: duckdb.DuckDBPyConnection) -> str:
    """SQL for a row's data set: bundles from before there was this column know none."""
    found = cursor.execute(
        "SELECT 1 FROM duckdb_columns() WHERE table_name = 'image' "
        "AND column_name = 'dataset_key' AND database_name = current_database()"
    ).fetchall()
    return "dataset_key" if found else "NULL"
