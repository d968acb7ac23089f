"""A table of records with the addresses of their photos, which are fetched into the work folder.

Works on whole columns of a part. One row is one photo. Parts may be read in any process; photos are
fetched by one process, and read from any thread of any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from atlas.errors import BuildError
from indexer.darwin_core import TERMS, with_cells
from indexer.fetching.addresses import problem_of
from indexer.fetching.photo_cache import PhotoCache
from indexer.plan_sections import UrlsSection
from indexer.records import RejectReason, image_ids_of
from indexer.sources.columns import Columns
from indexer.sources.completion import completed
from indexer.sources.darwin_columns import licence_codes, records_of, with_columns
from indexer.sources.header import check_constant, columns_by_name
from indexer.sources.input_file import check_unchanged, stamp_of
from indexer.sources.source import FileRun, ReadPart, SourcePart, defaults_of, parts_of
from indexer.sources.table_runs import RefusedRow, Run, TableReader, reader_of, refused_rows
from indexer.sources.text_columns import Passing, passing_of

_ADDRESS = "address of the photo"
_MEDIA_LICENCE = "licence of the photo"


class UrlSource:
    """The rows of `settings.path`, and the photos at their addresses."""

    def __init__(
        self,
        settings: UrlsSection,
        *,
        ranks: Sequence[str],
        resolution: int,
        part_rows: int,
        with_pictures: bool,
        max_file_bytes: int,
        scratch: Path,
    ) -> None:
        """Nothing is opened yet. `resolution` is that of the finest cells.

        `with_pictures`: every row needs a photo, which is fetched; else rows keep addresses only.
        `scratch` is a folder of this source alone, for the photos.
        """
        self._settings = settings
        self._ranks = tuple(ranks)
        self._resolution = resolution
        self._part_rows = part_rows
        self._with_pictures = with_pictures
        self._max_file_bytes = max_file_bytes
        self._cache = PhotoCache(scratch / "fetched")

    @property
    def settings(self) -> UrlsSection:
        """The plan's entry."""
        return self._settings

    def parts(self) -> list[SourcePart]:
        """Runs of rows; a text table is read through once to find where they begin.

        Raises PlanError where the table is missing, or a needed column is.
        """
        stamp = stamp_of(self._settings.path)
        self._columns()
        starts = self._reader.starts(self._part_rows)
        runs = (FileRun(self._settings.path, start, stamp) for start in starts)
        return parts_of(self._settings.key, runs)

    def read(self, part: SourcePart) -> ReadPart:
        """Read one part; see `Source.read`."""
        check_unchanged(part.file, part.stamp)
        run = self._reader.read(part.start, self._columns())
        passing, refused = self._checked(run)
        records = self._records(run, passing, part.file)
        rejects = refused_rows(part, part.file.name, sorted([*run.refused, *refused]))
        return ReadPart(records, rejects, len(run.row) + len(run.refused))

    def fetch(self, addresses: Iterator[str], advance: Callable[[int], None]) -> None:
        """Fetch every photo that is neither here already nor known never to be had.

        One process at a time, or hosts are asked more often than they allow. `advance` is called
        with the number of addresses that are settled. Faults are remembered, and told by `picture`.
        Raises BuildError where photos cannot be written.
        """
        # An HTTP client is slow to import, and processes that read parts never fetch.
        from indexer.fetching.client import Client  # noqa: PLC0415
        from indexer.fetching.fetch import Fetch, Manners  # noqa: PLC0415
        from indexer.fetching.hosts import Limits  # noqa: PLC0415

        settings = self._settings
        client = Client(
            contact=settings.contact,
            timeout_s=settings.timeout_s,
            deadline_s=settings.deadline_s,
            private_addresses=settings.private_addresses,
        )
        manners = Manners(
            limits=Limits(settings.connections, 1 / settings.requests_per_s),
            hosts={
                name.lower(): Limits(host.connections, 1 / host.requests_per_s)
                for name, host in settings.hosts.items()
            },
            threads=settings.fetch_threads,
            tries=settings.tries,
            retry_wait_s=settings.retry_wait_s,
            longest_wait_s=settings.longest_wait_s,
            give_up_after=settings.give_up_after,
            most_bytes=self._max_file_bytes,
        )
        try:
            Fetch(addresses, self._cache, client, manners, advance).run()
        except OSError as error:
            # Faults of hosts never come here: the disk is full, or not to be written to.
            raise BuildError("fetch", f"photos cannot be kept: {error.strerror}") from error
        finally:
            client.close()

    def picture(self, media_ref: str) -> bytes:
        """The bytes of a photo that was fetched.

        Raises PictureError with the reason why it was not: `download_failed`, `address_refused`,
        `file_missing`, `not_an_image` or `image_too_large`; BuildError for one damaged since.
        """
        return self._cache.read(media_ref, self._max_file_bytes)

    def picture_stamp(self, media_ref: str) -> str:
        """What stands for the bytes of a photo that was fetched, "" where it is missing."""
        return self._cache.stamp(media_ref)

    @cached_property
    def _reader(self) -> TableReader:
        return reader_of(self._settings)

    def _columns(self) -> dict[str, str]:
        """The file's column for each name that the atlas reads; PlanError where it has none."""
        wanted = {name: name for name in (*TERMS, *self._ranks)}
        check_constant(self._settings.path, self._settings.constant, wanted)
        wanted |= {_ADDRESS: self._settings.address_column}
        wanted |= {_MEDIA_LICENCE: self._settings.media_licence_column}
        return columns_by_name(
            self._settings.path, self._reader.header, wanted, self._settings.columns, [_ADDRESS]
        )

    def _checked(self, run: Run) -> tuple[Passing, list[RefusedRow]]:
        """Which rows can be records, and why the others cannot."""
        addresses = self._addresses(run).to_pylist()
        problems = [problem_of(address) for address in addresses]
        if not self._with_pictures:
            kept = [p is None or p[0] == RejectReason.NO_FILE_NAMED for p in problems]
        else:
            kept = [problem is None for problem in problems]
        refused = [
            RefusedRow(int(row), *problem)
            for row, problem, passes in zip(run.row, problems, kept, strict=True)
            if problem is not None and not passes
        ]
        return np.array(kept, bool), refused

    def _addresses(self, run: Run) -> pa.Array:
        return Columns(run.columns, len(run.row)).text(_ADDRESS)

    def _records(self, run: Run, passing: Passing, file: Path) -> pa.Table:
        kept = pa.array(passing)
        rows = int(passing.sum())
        given = {name: column.filter(kept) for name, column in run.columns.items()}
        address = self._addresses(run).filter(kept)
        columns = completed(
            {name: column for name, column in given.items() if name in (*TERMS, *self._ranks)}
            | {"mediaURL": address},
            rows,
            constant=self._settings.constant,
            genus_from_name=self._settings.genus_from_name and "genus" in self._ranks,
        )
        defaults = defaults_of(self._settings, file)
        records = records_of(
            Columns(columns, rows), pa.array(run.row[passing], pa.int64()), self._ranks, defaults
        )
        has_photo = pc.not_equal(address, "")
        licence = Columns(given, rows).text(_MEDIA_LICENCE)
        codes, known = licence_codes(licence, self._settings.media_licence)
        unknown = passing_of(has_photo) & ~known
        flags = records["flags"].to_numpy() | np.where(unknown, int(Flag.MEDIA_LICENCE_UNKNOWN), 0)
        occurrences = records["occurrence_id"].combine_chunks()
        changed = {
            "image_id": image_ids_of(self._settings.key, occurrences, address),
            "media_licence": pc.if_else(has_photo, codes, pa.scalar(None, pa.string())),
            "flags": pa.array(flags.astype(np.int32)),
        }
        if self._with_pictures:
            changed["media_ref"] = address
        return with_cells(with_columns(records, changed), self._resolution)
