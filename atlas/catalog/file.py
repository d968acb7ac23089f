"""A bundle's DuckDB file, opened to be read: queries in, columns or records out.

The connection is private and read-only. Threads: every call works on a cursor of its own, because
threads that share one DuckDB connection were seen to get each other's values. Knows no table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import duckdb
import numpy.typing as npt

from atlas.errors import BundleError


class CatalogFile:
    """An open file; close it when its bundle is no longer served."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        """Use `open`."""
        self._connection = connection
        self.path = path

    @classmethod
    def open(cls, path: Path, *, threads: int = 1, memory_mb: int = 768) -> Self:
        """Open a DuckDB file read-only; `threads` is DuckDB's own number for all calls together.

        `memory_mb` bounds what it keeps of the file: left alone, DuckDB takes four fifths of the
        machine, beside the page cache that holds the same blocks.
        BundleError when the file is missing or is not a catalog.
        """
        # The file may have come from elsewhere: nothing in it may reach out or load code.
        config: dict[str, Any] = {
            "threads": threads,
            "memory_limit": f"{memory_mb}MB",
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if not path.is_file():
            raise BundleError(path, "this file is missing")
        try:
            return cls(duckdb.connect(str(path), read_only=True, config=config), path)
        except duckdb.Error as error:
            raise BundleError(path, "this file is not a catalog that can be read") from error

    def close(self) -> None:
        """Close the file; calls under way on other threads fail after this."""
        self._connection.close()

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def table(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> dict[str, npt.NDArray[Any]]:
        """Run a query and return its columns as arrays.

        Columns that may be null come as masked arrays, text as objects. `parameters` are bound,
        a sequence to `?` and a mapping to `$name`; never put a user's value into `sql`.
        """
        with self._cursor() as cursor:
            columns: dict[str, npt.NDArray[Any]] = cursor.execute(sql, parameters).fetchnumpy()
        return columns

    def _records(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> list[dict[str, Any]]:
        with self._cursor() as cursor:
            cursor.execute(sql, parameters)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
