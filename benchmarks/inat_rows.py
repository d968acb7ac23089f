"""Tables as iNaturalist Open Data has them, made up from a seed: for tests and for `ingest`.

Faithful in columns, order, packing and quirks: fields without quotes and with quotes inside them,
both kinds of slash in ancestries, inactive taxa, obscured places, several photos an observation,
and a stated number of faulty rows of each kind.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_CHUNK = 50_000
_LICENCES = ("CC-BY-NC", "CC-BY", "CC0", "CC-BY-NC-SA", "CC-BY-NC-ND", "PD")
_SHARES = (0.8, 0.06, 0.06, 0.04, 0.03, 0.01)
_RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
_LEVELS = (70, 60, 50, 40, 30, 20, 10)
_SPECIES = 20_000
_NAMES = ("", 'Ann "Frog" Lee', '"Quoted', "Zoë O'Neil")
_EXTENSIONS = ("jpg", "jpeg", "png")


class Written(NamedTuple):
    """What was written: photos in all, and faulty rows by what they should be refused for."""

    photos: int
    bare: int
    refused: dict[str, int]


class _Faults(NamedTuple):
    """Rows with a fault, each in a table of its own or at the end of one."""

    ragged: int
    undecodable: int
    strays: int
    addressless: int


def write_dumps(folder: Path, photos: int, *, seed: int = 0, faults: int = 0) -> Written:
    """Write the four tables with about `photos` photos, and `faults` rows of each kind of fault."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    observers = max(10, photos // 200)
    observations = max(1, int(photos / 1.6))
    _write(folder / "taxa.csv.gz", _taxa())
    _write(folder / "observers.csv.gz", _observers(observers))
    who = (rng.pareto(1.1, observations) * 5).astype(np.int64) % observers
    faulty = _Faults(faults, faults, faults, faults)
    _write(folder / "observations.csv.gz", _observations(rng, who, faulty))
    # Most have one photo; the last observation of a hundred has none at all.
    each = np.minimum(rng.geometric(0.62, observations), 12)
    each[::100] = 0
    count = _write(folder / "photos.csv.gz", _photos(rng, who, each, faulty)) - 1
    return Written(
        photos=count,
        bare=int((each == 0).sum()),
        refused={
            "ragged_row": 2 * faults,
            "text_undecodable": faults,
            "no_such_record": faults,
            "id_invalid": faults,
        },
    )


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    lines = 0
    with gzip.open(path, "wb", compresslevel=1) as file:
        for chunk in chunks:
            file.write(chunk)
            lines += chunk.count(b"\n")
    return lines


def uuid_of(number: int) -> str:
    """A scattered but fixed UUID: the dumps are in no order of them."""
    bits = (number * 0x9E3779B97F4A7C15 + 0x7F4A7C15) & (2**64 - 1)
    text = f"{bits:016x}{number:016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


def _taxa() -> Iterator[bytes]:
    """A tree of species; every twentieth is inactive, every other ancestry has backslashes."""
    yield b"taxon_id\tancestry\trank_level\trank\tname\tactive\n"
    fans = (1, 3, 4, 5, 6, 8, 10)
    above: list[tuple[int, str]] = [(48_460, "48460")]
    lines = ["48460\t\t100\tstateofmatter\tLife\ttrue\n"]
    next_id = 1
    for depth, (rank, level, fan) in enumerate(zip(_RANKS, _LEVELS, fans, strict=True)):
        below = []
        for parent, (_, path) in enumerate(above):
            for child in range(fan):
                name = f"{rank.title()} {parent}-{child}" if depth < 6 else ""
                name = name or f"Genus{parent} species{child}"
                active = "false" if next_id % 20 == 0 else "true"
                written = path.replace("/", "\\") if next_id % 2 else path
                lines.append(f"{next_id}\t{written}\t{level}\t{rank}\t{name}\t{active}\n")
                below.append((next_id, f"{path}/{next_id}"))
                next_id += 1
        above = below
    yield "".join(lines).encode()


def _observers(count: int) -> Iterator[bytes]:
    yield b"observer_id\tlogin\tname\n"
    for first in range(0, count, _CHUNK):
        yield "".join(
            f"{at}\tuser{at}\t{_NAMES[at % 4]}\n" for at in range(first, min(first + _CHUNK, count))
        ).encode()


def _observations(
    rng: np.random.Generator, who: npt.NDArray[np.int64], faults: _Faults
) -> Iterator[bytes]:
    yield (
        b"observation_uuid\tobserver_id\tlatitude\tlongitude\tpositional_accuracy\ttaxon_id\t"
        b"quality_grade\tobserved_on\n"
    )
    count = len(who)
    for first in range(0, count, _CHUNK):
        rows = min(_CHUNK, count - first)
        latitude = np.degrees(np.arcsin(rng.uniform(-0.8, 0.95, rows)))
        longitude = rng.uniform(-180, 180, rows)
        accuracy = np.exp(rng.normal(3.5, 1.5, rows)).astype(int) + 1
        obscured = rng.random(rows) < 0.04
        taxon = 1_000 + (rng.pareto(0.9, rows) * 50).astype(np.int64) % _SPECIES
        day = rng.integers(0, 5_000, rows)
        dates = (np.datetime64("2010-01-01") + day).astype(str)
        grade = rng.choice(("research", "needs_id", "casual"), rows, p=(0.6, 0.3, 0.1))
        stated = [
            "" if at % 5 == 0 else str(metres + 31_600 * hidden)
            for at, (metres, hidden) in enumerate(
                zip(accuracy.tolist(), obscured.tolist(), strict=True)
            )
        ]
        columns = zip(
            range(first, first + rows),
            who[first : first + rows].tolist(),
            latitude.tolist(),
            longitude.tolist(),
            stated,
            taxon.tolist(),
            grade.tolist(),
            dates.tolist(),
            strict=True,
        )
        yield "".join(
            f"{uuid_of(at)}\t{by}\t{lat:.10f}\t{lon:.10f}\t{m}\t{of}\t{g}\t{on}\n"
            for at, by, lat, lon, m, of, g, on in columns
        ).encode()
    yield "".join(f"{uuid_of(count + at)}\t1\t1.5\n" for at in range(faults.ragged)).encode()


def _photos(
    rng: np.random.Generator,
    who: npt.NDArray[np.int64],
    each: npt.NDArray[np.int64],
    faults: _Faults,
) -> Iterator[bytes]:
    yield (
        b"photo_uuid\tphoto_id\tobservation_uuid\tobserver_id\textension\tlicense\twidth\theight\t"
        b"position\n"
    )
    of = np.repeat(np.arange(len(each)), each)
    rng.shuffle(of)
    number = rng.permutation(len(of)) + 1
    for first in range(0, len(of), _CHUNK):
        chunk = of[first : first + _CHUNK]
        licence = rng.choice(_LICENCES, len(chunk), p=_SHARES)
        columns = zip(
            number[first : first + _CHUNK].tolist(),
            chunk.tolist(),
            who[chunk].tolist(),
            licence.tolist(),
            strict=True,
        )
        yield "".join(
            f"{uuid_of(-id_ % 2**40)}\t{id_}\t{uuid_of(at)}\t{by}\t{_EXTENSIONS[id_ % 3]}"
            f"\t{code}\t2048\t1536\t0\n"
            for id_, at, by, code in columns
        ).encode()
    last = len(of) + 1
    yield b"".join(b"x\t%d\ty\n" % (last + at) for at in range(faults.ragged))
    yield b"".join(
        b"x\t%d\t\xff\xfe\t1\tjpg\tCC0\t1\t1\t0\n" % (last + at) for at in range(faults.undecodable)
    )
    yield "".join(
        f"x\t{last + 10_000_000 + at}\t{uuid_of(2**40 + at)}\t1\tjpg\tCC0\t1\t1\t0\n"
        for at in range(faults.strays)
    ).encode()
    yield "".join(
        # Of observations that have photos, or may have: never of one that is meant to be bare.
        f"x\tid{at}\t{uuid_of(1 + at % 99)}\t1\tjpg\tCC0\t1\t1\t0\n"
        for at in range(faults.addressless)
    ).encode()
