"""The shards of a data set: which there are, and the state of each.

Knows places and file systems, not what is in a shard. Any URL that fsspec opens; safe from any
thread, and pickled without what it has looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from atlas.errors import PlanError

_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
TAR = ".tar"
PARQUET = (".parquet", ".pq")
# What a downloader of these shards writes beside them: the addresses that gave no picture.
_NO_SHARDS = frozenset({"errors.parquet"})
_STATES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "created")


class ShardFile(NamedTuple):
    """One shard: its name below the place of all, and its size and time."""

    name: str
    stamp: str


class ShardFiles:
    """The shards below one place."""

    def __init__(self, place: str) -> None:
        """`place` is a URL or a folder; nothing is opened yet."""
        self._place = place

    def __getstate__(self) -> dict[str, Any]:
        """What a worker process needs; it connects by itself."""
        return {"_place": self._place}

    def listed(self) -> list[ShardFile]:
        """All shards, by name. Raises PlanError where there are none, or packed ones."""
        try:
            found: Mapping[str, Mapping[str, Any]] = self._files.find(self._root, detail=True)
        except Exception as error:
            # Every file system of fsspec has errors of its own.
            raise PlanError(Path(self._place), f"cannot be listed: {error}") from error
        begin = self._root.rstrip("/") + "/"
        shards = []
        for path, state in sorted(found.items()):
            name = path.removeprefix(begin)
            if name.lower().endswith(_PACKED):
                problem = "is packed, so its pictures cannot be reached one by one; unpack it"
                raise PlanError(self.path_of(name), problem)
            if name.lower().endswith((TAR, *PARQUET)) and name.split("/")[-1] not in _NO_SHARDS:
                shards.append(ShardFile(name, self._stamp(path, state)))
        if not shards:
            raise PlanError(Path(self._place), "has no shards: neither .tar nor .parquet files")
        return shards

    def path_of(self, name: str) -> Path:
        """The path of a shard, as messages name it."""
        return Path(self._root) / name if self.is_local else Path(name)

    def is_unchanged(self, shard: ShardFile) -> bool:
        """Whether a shard is as it was listed; of one elsewhere only its size is compared.

        Some stores tell other times when they are asked for one file than when for all.
        """
        path = self._path(shard.name)
        try:
            if self.is_local:
                return self._stamp(path, {}) == shard.stamp
            return str(self._files.info(path).get("size", "")) == shard.stamp.split(":")[0]
        except FileNotFoundError:
            return False

    def open(self, name: str) -> BinaryIO:
        """Open a shard, to be read from any place."""
        return cast("BinaryIO", self._files.open(self._path(name), "rb"))

    def read(self, name: str, first: int, size_bytes: int) -> bytes:
        """Bytes `first` to `first + size_bytes - 1`, fewer where the shard ends before."""
        data: bytes = self._files.cat_file(self._path(name), start=first, end=first + size_bytes)
        return data

    @property
    def is_local(self) -> bool:
        """Whether the shards lie on this machine's disks."""
        return isinstance(self._files, LocalFileSystem)

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        try:
            files, root = fsspec.core.url_to_fs(self._place)
        except (ImportError, ValueError) as error:
            raise PlanError(Path(self._place), f"cannot be opened: {error}") from error
        return files, root

    @property
    def _files(self) -> Any:  # noqa: ANN401 - fsspec has no types
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _stamp(self, path: str, state: Mapping[str, Any]) -> str:
        if self.is_local:
            found = Path(path).stat()
            return f"{found.st_size}:{found.st_mtime_ns}"
        known = [str(state[name]) for name in _STATES if state.get(name)]
        return ":".join([str(state.get("size", "")), *known])
