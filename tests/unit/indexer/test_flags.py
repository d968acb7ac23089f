"""The table of quality flags."""

from __future__ import annotations

from atlas.bundle.flags import FLAGS, Flag, flag_names, held_back_mask


def test_every_flag_is_explained_once() -> None:
    """Would break: a bit in a bundle that no table explains."""
    assert [meaning.flag for meaning in FLAGS] == list(Flag)
    for meaning in FLAGS:
        assert meaning.name == meaning.flag.name.lower()  # type: ignore[union-attr]
        assert meaning.meaning.endswith(".")


def test_bits_never_move() -> None:
    """Would break: bundles of an earlier version are read with other meanings."""
    assert {flag.name: flag.value for flag in Flag} == {
        "COORDINATES_INVALID": 1,
        "COORDINATES_ZERO": 2,
        "UNCERTAINTY_INVALID": 4,
        "UNCERTAINTY_COARSE": 8,
        "LOCATION_OBSCURED": 16,
        "DATE_INVALID": 32,
        "DATE_IMPLAUSIBLE": 64,
        "NAME_MISSING": 128,
        "OCCURRENCE_ID_MADE": 256,
        "MEDIA_LICENCE_UNKNOWN": 512,
        "RECORDED_ABSENT": 1024,
        "DUPLICATE_PICTURE": 2048,
        "COORDINATES_EQUAL": 4096,
        "ON_COUNTRY_CENTROID": 8192,
        "ON_CAPITAL": 16384,
        "ON_INSTITUTION": 32768,
        "UNCERTAINTY_SUSPECT": 65536,
        "SEA_FOR_LAND_TAXON": 131072,
        "OUTSIDE_REGION": 262144,
        "DUPLICATE_RECORD": 524288,
        "LOCATION_GENERALISED": 1048576,
        "LOCATION_WITHHELD": 2097152,
    }


def test_the_default_filter_holds_back_what_would_count_wrongly() -> None:
    """Would break: the default filter hides usable records, or counts absences and copies."""
    held_back = Flag.DATE_IMPLAUSIBLE | Flag.RECORDED_ABSENT | Flag.DUPLICATE_PICTURE
    held_back |= Flag.COORDINATES_EQUAL | Flag.ON_COUNTRY_CENTROID | Flag.ON_INSTITUTION
    held_back |= Flag.SEA_FOR_LAND_TAXON | Flag.OUTSIDE_REGION
    assert held_back_mask() == held_back


def test_bits_are_named() -> None:
    """Would break: the API shows numbers, or fails on a bit of a later version."""
    assert flag_names(0) == ()
    assert flag_names(Flag.DATE_INVALID | Flag.NAME_MISSING) == ("date_invalid", "name_missing")
    assert flag_names(1 << 30) == ()
