"""Bad rows, duplicates and their expected fates: what a build must account for.

Reasons and flags are named as the indexer names them, but nothing of it is imported.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from illustrated.records import Record
from illustrated.species import RANKS

# How each fault changes a good row; the picture's own faults are made by `illustrated.make`.
Change = Callable[[dict[str, str]], dict[str, str]]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of bad row: how many, what becomes of it, and how it is made.

    `fate` is `rejected` or `flagged`; `reason` is the reject's reason or the flag's name;
    `picture` says what is wrong with the file: good, missing, truncated or text.
    """

    reason: str
    fate: str
    count: int
    change: Change
    picture: str = "good"


def _set(**values: str) -> Change:
    return lambda row: row | values


def _nameless(row: dict[str, str]) -> dict[str, str]:
    return row | dict.fromkeys((*RANKS, "scientificName", "vernacularName"), "")


FAULTS: tuple[Fault, ...] = (
    Fault(reason="file_missing", fate="rejected", count=3, change=_set(), picture="missing"),
    Fault(reason="image_damaged", fate="rejected", count=3, change=_set(), picture="truncated"),
    Fault(reason="not_an_image", fate="rejected", count=3, change=_set(), picture="text"),
    Fault(
        reason="no_file_named", fate="rejected", count=1, change=_set(file=""), picture="missing"
    ),
    Fault(
        reason="path_outside_folder",
        fate="rejected",
        count=1,
        change=_set(file="../outside.jpg"),
        picture="missing",
    ),
    Fault(reason="coordinates_invalid", fate="flagged", count=2, change=_set(decimalLatitude="91")),
    Fault(
        reason="coordinates_invalid",
        fate="flagged",
        count=2,
        change=_set(decimalLatitude="by the bridge", decimalLongitude="12,5 E"),
    ),
    Fault(
        reason="coordinates_zero",
        fate="flagged",
        count=1,
        change=_set(decimalLatitude="0", decimalLongitude="0"),
    ),
    Fault(reason="date_invalid", fate="flagged", count=2, change=_set(eventDate="2023-13-45")),
    Fault(reason="name_missing", fate="flagged", count=2, change=_nameless),
)
REPEATED_ROWS = 6
IDENTICAL_FILES = 6
EXTRA_ROWS = sum(fault.count for fault in FAULTS) + REPEATED_ROWS + IDENTICAL_FILES


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A row as it goes into the table: its drawing, its picture's state and expected fate.

    `copy_of` names the file that this row's file is a copy of, byte for byte.
    """

    record: Record
    picture: str = "good"
    copy_of: str = ""
    fate: str = "kept"
    reason: str = ""


def with_faults(records: list[Record]) -> list[Made]:
    """Good rows with the bad ones among them, evenly spread; EXTRA_ROWS come out of `records`.

    The first records stay good; the last EXTRA_ROWS are made bad, or give way to repetitions.
    """
    good, spare = records[:-EXTRA_ROWS], records[-EXTRA_ROWS:]
    made = [Made(record=record) for record in good]
    bad: list[Made] = []
    for fault in FAULTS:
        for _ in range(fault.count):
            record = spare.pop(0)
            # A spare may be a second photo; its own occurrence id keeps the fault apart.
            own = {"occurrenceID": f"illustrated:fault:{len(bad):03d}"}
            changed = msgspec.structs.replace(record, row=fault.change(record.row | own))
            bad.append(
                Made(record=changed, picture=fault.picture, fate=fault.fate, reason=fault.reason)
            )
    step = max(1, len(good) // (REPEATED_ROWS + IDENTICAL_FILES + 1))
    for index in range(REPEATED_ROWS):
        again = good[step * (index + 1)]
        bad.append(
            Made(record=again, picture="missing", fate="rejected", reason="duplicate_image_id")
        )
    for index in range(IDENTICAL_FILES):
        first = good[step * (index + 1 + REPEATED_ROWS)]
        record = spare.pop(0)
        row = first.row | {
            "occurrenceID": f"illustrated:copy:{index:03d}",
            "file": record.row["file"],
        }
        copied = msgspec.structs.replace(first, row=row)
        bad.append(
            Made(
                record=copied,
                picture="copy",
                copy_of=first.row["file"],
                fate="flagged",
                reason="duplicate_picture",
            )
        )
    for index, one in enumerate(bad):
        made.insert(((index + 1) * len(made)) // (len(bad) + 1), one)
    return made
