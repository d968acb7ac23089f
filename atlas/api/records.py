"""Rows of the catalog as the API shows them: records with their photo's address and credit.

Reads the catalog and the bundle's hosted pictures; any thread.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from atlas.api.schemas import Record, StoredRecord, TaxonName
from atlas.api.search_schemas import Hit, SpaceScore
from atlas.bundle import Bundle
from atlas.bundle.flags import HIDDEN_PLACE, Flag, flag_names, flags_in
from atlas.catalog import Catalog, ImageRow
from atlas.geo.cells import format_cell
from atlas.search import inquiry

_GENERALISING = HIDDEN_PLACE | Flag.LOCATION_OBSCURED


class Records:
    """Photos of a bundle, one by one."""

    def __init__(self, bundle: Bundle, catalog: Catalog) -> None:
        self._bundle = bundle
        self._catalog = catalog

    def row(self, image_id: UUID) -> ImageRow:
        """The catalog's row of a photo; NotFound when there is none."""
        return self._catalog.images([self._catalog.row_of(image_id)])[0]

    def read(self, image_id: UUID) -> StoredRecord:
        """One photo with its record and what repeats it; NotFound when there is none."""
        row = self.row(image_id)
        return StoredRecord(
            duplicate_of=self._catalog.duplicate_of(row.row_id),
            duplicates=self._catalog.duplicates_of(row.row_id),
            **_fields(row),
        )

    def picture(self, row: ImageRow) -> tuple[bytes, str] | None:
        """The hosted picture's bytes and media type; None where the bundle does not host it."""
        return None if row.media_type is None else self._bundle.picture(row.row_id)


def as_hits(
    rows: Sequence[ImageRow], hits: Sequence[inquiry.Hit], image_ids: Mapping[int, UUID]
) -> list[Hit]:
    """Rows with their scores, in the order given; `image_ids` are those of collapsed rows."""
    return [
        Hit(
            score=round(hit.score, 6),
            spaces=[
                SpaceScore(space=place.space, rank=place.rank, score=round(place.score, 6))
                for place in hit.spaces
            ],
            collapsed=len(hit.collapsed),
            collapsed_images=[image_ids[row_id] for row_id in hit.collapsed],
            places_met=hit.preferences_met,
            **_fields(row),
        )
        for row, hit in zip(rows, hits, strict=True)
    ]


def as_record(row: ImageRow) -> Record:
    """One row as the API shows it."""
    return Record(**_fields(row))


def _fields(row: ImageRow) -> dict[str, Any]:
    hosted = row.media_type is not None
    return {
        "image_id": row.image_id,
        "taxon": TaxonName(
            taxon_id=row.taxon.taxon_id,
            scientific_name=row.taxon.scientific_name,
            common_name=row.taxon.common_name or None,
            rank=row.taxon.rank,
        ),
        "verbatim_name": row.scientific_name or "",
        "cell": None if row.cell is None else format_cell(row.cell),
        "lat": row.latitude,
        "lon": row.longitude,
        "uncertainty_m": row.uncertainty_m,
        "observed_on": observed_on(row.observed_from, row.observed_to),
        "observer": row.observer or None,
        "basis_of_record": row.basis_of_record or None,
        "media_url": f"/v1/images/{row.image_id}/media" if hosted else row.media_url or None,
        "source_url": row.reference_url or None,
        "licence": row.media_licence.code if row.media_licence else None,
        "record_licence": row.licence.code if row.licence else None,
        "rights_holder": row.rights_holder or None,
        "dataset": row.source.title,
        "dataset_key": row.dataset_key or None,
        "occurrence_id": row.occurrence_id,
        "data_generalizations": _generalisations(row.flags),
        "flags": list(flag_names(row.flags)),
    }


def _generalisations(flags: int) -> str | None:
    """What Darwin Core's `dataGeneralizations` says of a record with these flags."""
    said = [meaning.meaning for meaning in flags_in(flags) if meaning.flag & _GENERALISING]
    return " ".join(said) or None


def observed_on(first: dt.date | None, last: dt.date | None) -> str | None:
    """A day, or an interval of days with a slash (ISO 8601); None without a date."""
    if first is None or last is None:
        day = first or last
        return None if day is None else day.isoformat()
    return first.isoformat() if first == last else f"{first.isoformat()}/{last.isoformat()}"
