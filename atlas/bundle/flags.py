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
    COORDINATES_EQUAL = 1 << 12
    ON_COUNTRY_CENTROID = 1 << 13
    ON_CAPITAL = 1 << 14
    ON_INSTITUTION = 1 << 15
    UNCERTAINTY_SUSPECT = 1 << 16
    SEA_FOR_LAND_TAXON = 1 << 17
    OUTSIDE_REGION = 1 << 18
    DUPLICATE_RECORD = 1 << 19
    LOCATION_GENERALISED = 1 << 20
    LOCATION_WITHHELD = 1 << 21


# A record with one of these is of a sensitive taxon; its exact place is nowhere in the bundle.
HIDDEN_PLACE = Flag.LOCATION_GENERALISED | Flag.LOCATION_WITHHELD


class FlagMeaning(msgspec.Struct, frozen=True, kw_only=True):
    """One flag for people: `name` as the API writes it, and whether the default filter hides it."""

    flag: Flag
    name: str
    meaning: str
    held_back: bool = False


DEFAULT_FILTER = "default"
# Few flags are held back by the filter called `default`: a record is hidden only where counting it
# would be wrong (an absence, an impossible day, the same picture twice, a place that stands for a
# whole country, a land animal out at sea). A record that merely lost its place or its name still
# shows what the organism looks like. Capitals are full of good records, and of a suspect
# uncertainty only the number is in doubt. Two records of one taxon, place, day and observer may
# be two individuals; estimates rest on visits, in which they count once.
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
    FlagMeaning(
        flag=Flag.COORDINATES_EQUAL,
        name="coordinates_equal",
        meaning="Latitude and longitude are the same number, apart from the sign: most often one "
        "was entered twice.",
        held_back=True,
    ),
    FlagMeaning(
        flag=Flag.ON_COUNTRY_CENTROID,
        name="on_country_centroid",
        meaning="The place is the centroid of a country, which stands for all of it.",
        held_back=True,
    ),
    FlagMeaning(
        flag=Flag.ON_CAPITAL,
        name="on_capital",
        meaning="The place is the centre of a capital, which often stands for its country.",
    ),
    FlagMeaning(
        flag=Flag.ON_INSTITUTION,
        name="on_institution",
        meaning="The place is that of a museum, zoo, garden or collection of the plan's list: most "
        "often where the specimen is kept.",
        held_back=True,
    ),
    FlagMeaning(
        flag=Flag.UNCERTAINTY_SUSPECT,
        name="uncertainty_suspect",
        meaning="The coordinate uncertainty is 301, 3036, 999 or 9999 metres, which programs write "
        "where nobody has measured.",
    ),
    FlagMeaning(
        flag=Flag.SEA_FOR_LAND_TAXON,
        name="sea_for_land_taxon",
        meaning="The taxon lives on land, and there is no land within 0.1 degrees of the place.",
        held_back=True,
    ),
    FlagMeaning(
        flag=Flag.OUTSIDE_REGION,
        name="outside_region",
        meaning="The place lies outside the study region of the atlas.",
        held_back=True,
    ),
    FlagMeaning(
        flag=Flag.DUPLICATE_RECORD,
        name="duplicate_record",
        meaning="An earlier record has the same taxon, coordinates, days and observer; the earlier "
        "one does not carry this flag.",
    ),
    FlagMeaning(
        flag=Flag.LOCATION_GENERALISED,
        name="location_generalised",
        meaning="The taxon is sensitive: its place was rounded to a grid before anything else was "
        "made of it, and the uncertainty includes the rounding.",
    ),
    FlagMeaning(
        flag=Flag.LOCATION_WITHHELD,
        name="location_withheld",
        meaning="The taxon is sensitive: its place is not given.",
    ),
)


def held_back_mask() -> int:
    """All flags that the default filter holds back, as one bit mask."""
    mask = 0
    for meaning in FLAGS:
        if meaning.held_back:
            mask |= int(meaning.flag)
    return mask


def flags_in(bits: int) -> tuple[FlagMeaning, ...]:
    """The flags that are set in `bits`, in bit order."""
    return tuple(meaning for meaning in FLAGS if bits & meaning.flag)


def flag_names(bits: int) -> tuple[str, ...]:
    """Names of the flags that are set in `bits`, in bit order; unknown bits have no name."""
    return tuple(meaning.name for meaning in flags_in(bits))
