"""Which records repeat an earlier one, as SQL: the sort stage and every revision ask the same.

Knows columns of records. Pure text.
"""

from __future__ import annotations

from atlas.bundle.flags import HIDDEN_PLACE, Flag

# The published place of these is not where they were found, so equal places say nothing.
_BLURRED = int(HIDDEN_PLACE | Flag.LOCATION_OBSCURED)
# Hashes of 64 bits stand for what is compared: among 100 million records two that differ are taken
# for one with a chance of one in four thousand, and the window holds no text.
SEEN = "latitude, longitude, observed_from, observed_to, observer"
"""Columns in which a record and its repeat agree, beside the taxon."""
RECORD = "hash(source_key, occurrence_id)"
"""SQL for what is the same in all photos of one record."""
IS_PLACED = f"latitude IS NOT NULL AND observed_from IS NOT NULL AND flags & {_BLURRED} = 0"
"""SQL for whether a record says enough to be told from another."""


def repeat_of_earlier(order: str) -> str:
    """SQL for whether a row's record has the taxon, place, days and observer of an earlier record.

    Several photos of one record are no repeats. `order` says which record is the earlier one.
    """
    return (
        f"({IS_PLACED} AND {RECORD} <> first_value({RECORD}) OVER "
        f"(PARTITION BY hash(taxon_id, {SEEN}), {IS_PLACED} ORDER BY {order}))"
    )
