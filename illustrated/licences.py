"""The licences that the made records carry, in the many spellings that real data has."""

from __future__ import annotations

import numpy as np

_SPELLINGS: dict[str, tuple[str, ...]] = {
    "CC0": ("CC0", "CC0 1.0", "http://creativecommons.org/publicdomain/zero/1.0/legalcode"),
    "BY": ("CC BY 4.0", "CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/"),
    "BY-NC": (
        "CC BY-NC 4.0",
        "CC-BY-NC-4.0",
        "http://creativecommons.org/licenses/by-nc/4.0/legalcode",
    ),
    "BY-SA": ("CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/"),
    "reserved": ("All rights reserved",),
    "unknown": ("",),
}
_RECORD_SHARES = {"CC0": 0.3, "BY": 0.35, "BY-NC": 0.35}
_MEDIA_SHARES = {
    "BY": 0.22,
    "BY-NC": 0.55,
    "CC0": 0.1,
    "BY-SA": 0.08,
    "reserved": 0.04,
    "unknown": 0.01,
}


class Habit:
    """How one observer licenses records and photos; the spelling changes from time to time."""

    def __init__(self, random: np.random.Generator) -> None:
        """Draw the observer's choice."""
        self._record = _drawn(random, _RECORD_SHARES)
        # Most people choose one licence for both; the rest choose the photo's apart.
        same = random.random() < 0.4
        self._media = self._record if same else _drawn(random, _MEDIA_SHARES)

    def spelled(self, random: np.random.Generator) -> tuple[str, str]:
        """The record's and the photo's licence as this record writes them."""
        record, media = _SPELLINGS[self._record], _SPELLINGS[self._media]
        return (
            record[int(random.integers(len(record)))],
            media[int(random.integers(len(media)))],
        )


def _drawn(random: np.random.Generator, shares: dict[str, float]) -> str:
    return str(random.choice(list(shares), p=list(shares.values())))
