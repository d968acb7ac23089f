"""Pictures by relative path or by address, where the plan says that they lie.

Opens nothing that the plan does not name: an archive of strangers cannot point anywhere else.
Pictures may be read from any thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import fsspec

from atlas.errors import PictureError
from indexer.records import RejectReason

_FILE = "file://"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class MediaFiles:
    """The pictures below `folder`, and those that `mirrors` lead to."""

    def __init__(self, folder: Path, mirrors: Mapping[str, str], max_file_bytes: int) -> None:
        """`mirrors`: URL by the text that an address begins with; the longest counts."""
        self._folder = folder
        self._mirrors = sorted(mirrors.items(), key=lambda pair: (-len(pair[0]), pair[0]))
        self._max_file_bytes = max_file_bytes

    def problem(self, media_ref: str) -> tuple[RejectReason, str] | None:
        """Why a picture cannot be read from here at all; None where it may be there."""
        if not media_ref:
            return RejectReason.NO_FILE_NAMED, "names no image file"
        mirrored = self._mirrored(media_ref)
        if mirrored is None and _ADDRESS.match(media_ref):
            return (
                RejectReason.MEDIA_NOT_AT_HAND,
                f"{media_ref!r} is an address that no mirror of the plan begins",
            )
        rest = media_ref if mirrored is None else mirrored[1]
        path = PurePosixPath(rest)
        # fsspec reads what follows `::` as another file system.
        strange = "\0" in rest or "::" in rest or path == PurePosixPath()
        if strange or path.is_absolute() or ".." in path.parts:
            return RejectReason.PATH_OUTSIDE_FOLDER, f"{media_ref!r} is not inside the folder"
        return None

    def read(self, media_ref: str) -> bytes:
        """The bytes of a picture.

        Raises PictureError as `problem` says, `file_missing`, or `image_too_large`.
        """
        problem = self.problem(media_ref)
        if problem is not None:
            raise PictureError(*problem)
        try:
            place = self._place(media_ref)
            with place.open("rb") if isinstance(place, Path) else fsspec.open(place, "rb") as file:
                data: bytes = file.read(self._max_file_bytes + 1)
        except PictureError:
            raise
        except Exception as error:
            # Every file system of fsspec has errors of its own. Not their text, which may name
            # folders of this machine.
            detail = f"{media_ref}: {type(error).__name__}"
            raise PictureError(RejectReason.FILE_MISSING, detail) from error
        if len(data) > self._max_file_bytes:
            detail = f"{media_ref} has more bytes than the {self._max_file_bytes} of the plan"
            raise PictureError(RejectReason.IMAGE_TOO_LARGE, detail)
        return data

    def stamp(self, media_ref: str) -> str:
        """Size and time of a picture on this machine's disk, "" where it is missing.

        Pictures elsewhere count by their address: asking for each would take a build's whole time.
        """
        if self.problem(media_ref) is not None:
            return ""
        try:
            place = self._place(media_ref)
            if not isinstance(place, Path):
                return place
            state = place.stat()
        except (OSError, ValueError, RuntimeError, PictureError):
            return ""
        return f"{state.st_size}:{state.st_mtime_ns}"

    def _mirrored(self, media_ref: str) -> tuple[str, str] | None:
        """The mirror's URL and what follows it."""
        for begin, place in self._mirrors:
            if media_ref.startswith(begin):
                return place, media_ref.removeprefix(begin)
        return None

    def _place(self, media_ref: str) -> Path | str:
        """The file or URL to read; PictureError where a link leads out of its folder."""
        url, rest = self._mirrored(media_ref) or (f"{_FILE}{self._folder}/", media_ref)
        if not url.startswith(_FILE):
            return url + rest
        folder = Path(url.removeprefix(_FILE)).resolve()
        path = (folder / rest).resolve()
        if not path.is_relative_to(folder):
            detail = f"{media_ref} leads out of the folder"
            raise PictureError(RejectReason.PATH_OUTSIDE_FOLDER, detail)
        return path
