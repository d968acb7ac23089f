"""iNaturalist Open Data: photos of observations, from its four tables and any store of its photos.

Works on whole columns of a part. One photo is one row. Parts may be read in any process once
`parts` has joined the tables; pictures may be read from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atlas.bundle.flags import Flag
from indexer.darwin_core import Defaults, clean, with_cells
from indexer.plan_sections import InatOpenDataSection
from indexer.records import RECORD_SCHEMA, RejectReason
from indexer.sources.columns import Columns
from indexer.sources.darwin_columns import licence_codes, records_of, with_columns
from indexer.sources.inat_dumps import Dumps, Joined, dumps_in, join, texts_of, values_of
from indexer.sources.inat_names import Named
from indexer.sources.input_file import changed
from indexer.sources.media_files import MediaFiles
from indexer.sources.parquet_table import read_rows, row_group_sizes, runs_of_row_groups
from indexer.sources.source import FileRun, ReadPart, SourcePart, Start, defaults_of, parts_of
from indexer.sources.table_runs import RefusedRow, refused_rows
from indexer.sources.text_columns import (
    Passing,
    constant,
    distinct,
    passing_of,
    tidied,
    whole,
)

PUBLIC_PHOTOS = "https://inaturalist-open-data.s3.amazonaws.com/photos/"
_OBSERVATIONS = "https://www.inaturalist.org/observations/"
_REFUSED_PART_ROWS = 65_536
# iNaturalist's own radius of the earth, with which it computes the accuracy of obscured points.
_EARTH_M = 6_370_997.0
_SQUARE_DEGREES = 0.2
_PHOTO_ID = r"^[1-9]\d{0,17}$"
_EXTENSION = r"^[A-Za-z0-9]{1,8}$"


class InatOpenDataSource:
    """The photos of the tables in `settings.path`."""

    def __init__(
        self,
        settings: InatOpenDataSection,
        *,
        ranks: Sequence[str],
        resolution: int,
        part_rows: int,
        with_pictures: bool,
        max_file_bytes: int,
        scratch: Path,
    ) -> None:
        """Nothing is opened yet. `resolution` is that of the finest cells.

        `with_pictures`: every row needs a picture, which is read; else rows keep addresses only.
        `scratch` is a folder of this source alone, for the joined tables.
        """
        self._settings = settings
        self._ranks = tuple(ranks)
        self._resolution = resolution
        self._part_rows = part_rows
        self._with_pictures = with_pictures
        self._scratch = scratch
        base = settings.photos or f"file://{settings.path / 'photos'}/"
        self._files = MediaFiles(settings.path, {"photos/": base.rstrip("/") + "/"}, max_file_bytes)

    @property
    def settings(self) -> InatOpenDataSection:
        """The plan's entry."""
        return self._settings

    def parts(self) -> list[SourcePart]:
        """Joins the tables and cuts them into runs of photos; unreadable rows come at the end.

        Raises PlanError where a table is missing or damaged.
        """
        stamp, joined = self._dumps.stamp, self._joined
        sizes = row_group_sizes(joined.photos)
        runs = [
            FileRun(joined.photos, Start(*start), stamp)
            for start in runs_of_row_groups(sizes, least=self._part_rows, most=self._part_rows)
        ]
        lost = sum(row_group_sizes(joined.refused))
        runs += [
            FileRun(joined.refused, Start(first, min(_REFUSED_PART_ROWS, lost - first)), stamp)
            for first in range(0, lost, _REFUSED_PART_ROWS)
        ]
        return parts_of(self._settings.key, runs)

    def read(self, part: SourcePart) -> ReadPart:
        """Read one part; see `Source.read`."""
        if dumps_in(self._settings.path).stamp != part.stamp:
            raise changed(self._settings.path)
        table = read_rows(
            part.file,
            first_row=part.first_row,
            rows=part.rows,
            columns=pq.read_schema(part.file).names,
        )
        refused: list[RefusedRow] = []
        if part.file.name == self._joined.refused.name:
            records = RECORD_SCHEMA.empty_table()
            rejects = _unreadable(part, table)
        else:
            passing, refused = self._checked(table)
            records = self._records(table.filter(pa.array(passing)) if refused else table)
            rejects = refused_rows(part, "photo", refused)
        return ReadPart(records, rejects, table.num_rows)

    def picture(self, media_ref: str) -> bytes:
        """The bytes of a picture; see `MediaFiles.read`."""
        return self._files.read(media_ref)

    def picture_stamp(self, media_ref: str) -> str:
        """The state of a picture; see `MediaFiles.stamp`."""
        return self._files.stamp(media_ref)

    @cached_property
    def _dumps(self) -> Dumps:
        return dumps_in(self._settings.path)

    @cached_property
    def _joined(self) -> Joined:
        return join(self._dumps, self._ranks, self._scratch)

    @cached_property
    def _taxa(self) -> Named:
        return Named(self._joined.taxa)

    @cached_property
    def _observers(self) -> Named:
        return Named(self._joined.observers)

    def _checked(self, photos: pa.Table) -> tuple[Passing, list[RefusedRow]]:
        """Which rows can be records, and why the others cannot."""
        number, written = whole(photos["photo_id"]), whole(photos["photo_id_text"])
        no_photo = passing_of(pc.and_(number.is_null(), pc.equal(written.fill_null(""), "")))
        extension = whole(photos["extension"]).fill_null("").dictionary_encode()
        known = passing_of(pc.match_substring_regex(extension.dictionary, _EXTENSION))
        sound = passing_of(number.is_valid()) & known[extension.indices.to_numpy()]
        stray = ~passing_of(whole(photos["observed"]))
        refused_bare = no_photo & self._with_pictures
        wrong = (~no_photo & ~sound) | stray | refused_bare
        at = np.flatnonzero(wrong)
        some = photos.take(pa.array(at))
        texts = zip(
            at.tolist(),
            texts_of(some, "photo_id").to_pylist(),
            texts_of(some, "observation_uuid").to_pylist(),
            strict=True,
        )
        refused = []
        for place, given, of in texts:
            row = int(given) if sound[place] else 0
            if stray[place]:
                reason = RejectReason.NO_SUCH_RECORD
                detail = f"photo {given!r} is of {of!r}, which is no observation here"
            elif no_photo[place]:
                reason, detail = RejectReason.NO_FILE_NAMED, f"observation {of} has no photo"
            else:
                reason = RejectReason.ID_INVALID
                detail = f"photo {given!r} of observation {of} has no address"
            refused.append(RefusedRow(row, reason, detail))
        return ~wrong, refused

    def _records(self, photos: pa.Table) -> pa.Table:
        rows = photos.num_rows
        number = whole(photos["photo_id"])
        has_photo = number.is_valid()
        photo_id = number.cast(pa.string()).fill_null("")
        name = pc.binary_join_element_wise(
            photo_id, "/", self._settings.size, ".", whole(photos["extension"]).fill_null(""), ""
        )
        address = pc.if_else(has_photo, pc.binary_join_element_wise(PUBLIC_PHOTOS, name, ""), "")
        uuid = texts_of(photos, "observation_uuid")
        licence = whole(photos["license"]).fill_null("").dictionary_encode()
        licence = tidied(licence, clean)
        codes, recognised = licence_codes(licence, self._settings.media_licence)
        author = tidied(self._observers.of(whole(photos["author_id"]))["name"], clean)
        taxon = self._taxa.of(whole(photos["taxon_id"]))
        terms = {
            "occurrenceID": uuid,
            "scientificName": taxon["name"],
            "decimalLatitude": values_of(photos, "latitude"),
            "decimalLongitude": values_of(photos, "longitude"),
            "coordinateUncertaintyInMeters": values_of(photos, "positional_accuracy"),
            "informationWithheld": _withheld(photos),
            "eventDate": values_of(photos, "observed_on"),
            "recordedBy": self._observers.of(whole(photos["observer_id"]))["name"],
            "basisOfRecord": constant("HumanObservation", rows),
            "references": pc.binary_join_element_wise(_OBSERVATIONS, uuid, ""),
            "mediaURL": address,
            "rightsHolder": pc.if_else(has_photo, attributions(author, licence), ""),
            **{rank: taxon[f"rank {rank}"] for rank in self._ranks},
        }
        tidy = {"mediaURL", "basisOfRecord"}
        if photos["observation_uuid_text"].null_count == rows:
            tidy |= {"occurrenceID", "references"}
        records = records_of(
            Columns(terms, rows, tidy),
            number.fill_null(0),
            self._ranks,
            self._defaults,
            media_refs=photo_id,
        )
        licensed = np.where(
            passing_of(has_photo) & ~recognised, np.int32(Flag.MEDIA_LICENCE_UNKNOWN), 0
        )
        of_photos = {
            "media_licence": pc.if_else(has_photo, codes, pa.scalar(None, pa.string())),
            "flags": pa.array((records["flags"].to_numpy() | licensed).astype(np.int32)),
        }
        if self._with_pictures:
            reference = pc.binary_join_element_wise("photos/", name, "")
            of_photos["media_ref"] = pc.if_else(has_photo, reference, pa.scalar(None, pa.string()))
        return with_cells(with_columns(records, of_photos), self._resolution)

    @property
    def _defaults(self) -> Defaults:
        return defaults_of(self._settings, self._dumps.files["observations"])


def is_obscured(latitude: npt.NDArray[np.float64], accuracy_m: npt.NDArray[np.float64]) -> Passing:
    """Whether iNaturalist moved these points at random within their square of 0.2 degrees.

    The dumps do not say so, but add the diagonal of that square to the accuracy of such points. A
    point that is no better known for another reason is treated alike: nothing is lost by it.
    """
    south = np.floor(latitude / _SQUARE_DEGREES) * _SQUARE_DEGREES
    north = south + _SQUARE_DEGREES
    # The haversine formula from corner to corner.
    step = np.sin(np.radians(_SQUARE_DEGREES) / 2) ** 2
    across = step + np.cos(np.radians(south)) * np.cos(np.radians(north)) * step
    diagonal_m = 2 * _EARTH_M * np.arcsin(np.sqrt(np.clip(across, 0, 1)))
    with np.errstate(invalid="ignore"):  # unknown is not obscured
        # One part in a hundred for rounding, and for points on the edge of a square.
        return np.asarray(accuracy_m >= 0.99 * diagonal_m, bool)


def attributions(author: pa.Array, licence: pa.Array) -> pa.Array:
    """The credit that iNaturalist asks for: `(c) NAME, some rights reserved (CC BY-NC)`."""
    authors, licences = distinct(author), distinct(licence)
    pair = authors.at.to_numpy().astype(np.int64) * len(licences.values) + licences.at.to_numpy()
    pairs, at = np.unique(pair, return_inverse=True)
    read = [
        _attribution(authors.values[by], licences.values[under])
        for by, under in zip(*np.divmod(pairs, max(len(licences.values), 1)), strict=True)
    ]
    return pa.array(read, pa.string()).take(pa.array(at))


def _attribution(author: str, licence: str) -> str:
    plain = licence.upper().replace("CC-", "CC ", 1)
    if plain == "CC0":
        return f"{author}, no rights reserved (CC0)" if author else "no rights reserved (CC0)"
    if plain in {"PD", "PDM"}:
        return f"{author}, no known copyright restrictions (public domain)" if author else ""
    if not author:
        return ""
    if not plain:
        return f"(c) {author}, all rights reserved"
    return f"(c) {author}, some rights reserved ({plain})"


def _withheld(photos: pa.Table) -> pa.DictionaryArray:
    """What iNaturalist says of points that it moved, where the accuracy shows that it did."""
    latitude, accuracy = (
        whole(photos[name]).to_numpy(zero_copy_only=False)
        for name in ("latitude", "positional_accuracy")
    )
    moved = np.flatnonzero(is_obscured(latitude, accuracy))
    metres, at = np.unique(accuracy[moved], return_inverse=True)
    told = [f"Coordinate uncertainty increased to {number:f}m" for number in metres]
    which = np.zeros(photos.num_rows, np.int32)
    which[moved] = at + 1
    return pa.DictionaryArray.from_arrays(pa.array(which), pa.array(["", *told], pa.string()))


def _unreadable(part: SourcePart, table: pa.Table) -> pa.Table:
    rejects = [
        refused_rows(
            part,
            row["file"],
            [RefusedRow(row["line"], RejectReason(row["reason"]), row["detail"])],
        )
        for row in table.to_pylist()
    ]
    return pa.concat_tables(rejects)
