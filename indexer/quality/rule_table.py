"""A table of rules that a plan names, CSV in UTF-8 with a header line. Judges no rule."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from atlas.errors import PlanError

MORE = "more"
"""Where a row has more fields than the header, the others stand under this name."""


def rules_in(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line, from 1, and fields of each row; None for a field that a short row lacks.

    Raises PlanError where the file cannot be read, or lacks one of the columns `needed`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey=MORE)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise PlanError(path, f"has no column {missing[0]!r}", 1)
            for row in reader:
                yield reader.line_num, row
    except OSError as error:
        raise PlanError(path, f"cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise PlanError(path, f"is not a CSV file in UTF-8: {error}") from error
