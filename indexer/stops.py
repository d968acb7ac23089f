"""Errors of disks and of files that cannot be read, as a clear stop of a build.

Knows the libraries that read and write files, not what is in these.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from atlas.errors import BuildError

# What DuckDB and Arrow raise for a full disk and for a damaged file. Their other errors are faults
# of ours, and keep their trace.
_OF_FILES = (
    OSError,
    pa.ArrowInvalid,
    duckdb.IOException,
    duckdb.InvalidInputException,
    duckdb.OutOfMemoryException,
    duckdb.FatalException,
    duckdb.TransactionException,
)


@contextmanager
def clear_stops() -> Iterator[None]:
    """Raise BuildError for an error of the disk or of a file, in the words of who met it.

    What was finished before stays, and a build that is started again goes on from there.
    """
    try:
        yield
    except _OF_FILES as error:
        said = str(error).partition("\n")[0]
        raise BuildError("files", f"{type(error).__name__}: {said}") from error
