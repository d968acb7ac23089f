"""What all sections of a build plan have in common, and the bounds that several settings share.

Knows no section. Immutable, safe from any thread.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


def check_key(field: str, value: str) -> None:
    """Keys become file names, so they are kept to a safe alphabet."""
    if not _KEY.fullmatch(value):
        raise ValueError(
            f"`{field}` is {value!r}; use a-z, 0-9, '-' and '_', no sign first, 64 at most"
        )


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all sections have in common: immutable, named fields, no unknown keys.

    `frozen` and `kw_only` stand again at every section, for type checkers.
    """
