"""The quality flags of a record: what each bit means and which records are held back by default.

Records with problems are kept and flagged, never dropped. The bits are part of the bundle format:
a bit is never given another meaning. Pure data, safe from any thread.
"""

from __future__ import annotations

from enum import IntFlag

import msgspec


class Flag(IntFlag):
    """Bits of the `flags` column (int32)."""

    COORDINATES_INVALID = 1 << 0
    COORDINATES_ZERO = 1 << 1
    UNCERTAINTY_INVALID = 1 << 2
    UNCERTAINTY_COARSE = 1 << 3
    LOCATION_OBSCURED = 1 << 4
    DATE_INVALID = 1 << 5
    DATE_IMPLAUSIBLE = 1 << 6
    NAME_MISSING = 1 << 7
    OCCURRENCE_ID_MADE = 1 << 8
    MEDIA_LICENCE_UNKNOWN = 1 << 9
    RECORDED_ABSENT = 1 << 10
    DUPLICATE_PICTURE = 1 << 11


class FlagMeaning(msgspec.Struct, frozen=True, kw_only=True):
    """One flag for people: `name` as the API writes it, and whether the default filter hides it."""

    flag: Flag
    name: str
    meaning: str
    held_back: bool = False


# Few flags are held back: a record is hidden by default only where counting it would be wrong
# (an absence, an impossible day, the same picture twice). A record that merely lost its place or
# its name still shows what the organism looks like.
FLAGS: tuple[FlagMeaning, ...] = (
    FlagMeaning(
        flag=Flag.COORDINATES_INVALID,
        name="coordinates_invalid",
        meaning="Coordinates were given but are not two numbers within ±90 and ±180 degrees; "
        "the record is kept without a place.",
    ),
    FlagMeaning(
        flag=Flag.COORDINATES_ZERO,
        name="coordinates_zero",
        meaning="Latitude and longitude are both exactly 0, which is nearly always an empty "
        "field; the record is kept without a place.",
    ),
    FlagMeaning(
        flag=Flag.UNCERTAINTY_INVALID,
        name="uncertainty_invalid",
        meaning="The coordinate uncertainty is not a number above 0; it is taken as unknown.",
    ),
    FlagMeaning(
        flag=Flag.UNCERTAINTY_COARSE,
        name="uncertainty_coarse",
        meaning="The coordinate uncertainty is wider than the finest cell, so the record is "
        "placed in a coarser cell.",
    ),
    FlagMeaning(
        flag=Flag.LOCATION_OBSCURED,
        name="location_obscured",
        meaning="The publisher blurred or withheld the place; it is shown no finer than that.",
    ),
    FlagMeaning(
        flag=Flag.DATE_INVALID,
        name="date_invalid",
        meaning="A date was given but is not an ISO 8601 date or interval; "
        "the record is kept without a date.",
    ),
    FlagMeaning(
        flag=Flag.DATE_IMPLAUSIBLE,
        name="date_implausible",
        meaning="The date lies before 1600 or after the day on which the source was written.",
        held_back=True,
    ),
    FlagMeaning(
        flag=Flag.NAME_MISSING,
        name="name_missing",
        meaning="The record names no taxon at any rank; it hangs at the root of the tree.",
    ),
    FlagMeaning(
        flag=Flag.OCCURRENCE_ID_MADE,
        name="occurrence_id_made",
        meaning="The source gives no occurrence identifier; one was made from the row's content.",
    ),
    FlagMeaning(
        flag=Flag.MEDIA_LICENCE_UNKNOWN,
        name="media_licence_unknown",
        meaning="The photo's licence is missing or is not one the atlas recognises; "
        "ask the rights holder before using the photo.",
    ),
    FlagMeaning(
        flag=Flag.RECORDED_ABSENT,
        name="recorded_absent",
        meaning="The publisher recorded that the taxon was looked for and not found.",
        held_back=True,
    ),
    FlagMeaning(
        flag=Flag.DUPLICATE_PICTURE,
        name="duplicate_picture",
        meaning="The photo's file is byte for byte that of an earlier row; the earlier row does "
        "not carry this flag.",
        held_back=True,
    ),
)


def held_back_mask() -> int:
    """All flags that the default filter holds back, as one bit mask."""
    mask = 0
    for meaning in FLAGS:
        if meaning.held_back:
            mask |= int(meaning.flag)
    return mask


def flag_names(bits: int) -> tuple[str, ...]:
    """Names of the flags that are set in `bits`, in bit order; unknown bits have no name."""
    return tuple(meaning.name for meaning in FLAGS if bits & meaning.flag)
