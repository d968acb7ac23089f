"""A small random world: embedded parts made from plain rows, and what the sort stage makes of them.

The rows are what tests compare with; nothing here sorts, counts or numbers anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.flags import Flag
from atlas.geo.cells import place
from indexer.records import EMBEDDED_SCHEMA, REJECT_SCHEMA
from indexer.stages.sort import SegmentSlice, Sorted, cut_segments, order_rows, write_segment
from indexer.work import PartFiles

RANKS = ("kingdom", "order", "family", "genus", "species")
FINEST = 5
DIMS = {"looks": 4, "words": 3}

# Oenanthe is a bird and a plant; Amanita has no family; two records name a genus or nothing.
LINEAGES = (
    ("Animalia", "Anura", "Hylidae", "Hyla", "Hyla arborea"),
    ("Animalia", "Anura", "Hylidae", "Hyla", ""),
    ("Animalia", "Anura", "Ranidae", "Rana", "Rana temporaria"),
    ("Animalia", "Passeriformes", "Muscicapidae", "Oenanthe", "Oenanthe deserti"),
    ("Plantae", "Apiales", "Apiaceae", "Oenanthe", "Oenanthe aquatica"),
    ("Fungi", "Agaricales", "", "Amanita", "Amanita muscaria"),
    ("", "", "", "", ""),
)
LICENCES = (
    None,
    "CC0",
    "CC BY 4.0",
    "http://creativecommons.org/licenses/by/4.0/",
    "ask the museum",
)
FLAGS = (
    0,
    0,
    0,
    Flag.NAME_MISSING,
    Flag.RECORDED_ABSENT,
    Flag.DATE_IMPLAUSIBLE | Flag.NAME_MISSING,
)

Row = dict[str, Any]


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by part, their files, and what sorting wrote below `folder`."""

    folder: Path
    rows: tuple[tuple[Row, ...], ...]
    parts: tuple[PartFiles, ...]
    cuts: tuple[SegmentSlice, ...]
    found: Sorted

    @property
    def order(self) -> Path:
        """Which row came from where."""
        return self.folder / "order.parquet"

    @property
    def taxa(self) -> Path:
        """The tree."""
        return self.folder / "taxa.parquet"

    @property
    def names(self) -> Path:
        """Names of the taxa."""
        return self.folder / "names.parquet"

    @property
    def duplicates(self) -> Path:
        """Rows refused as duplicates."""
        return self.folder / "duplicates.parquet"

    def segment(self, cut: SegmentSlice) -> Path:
        """Folder of one segment."""
        return self.folder / "segments" / cut.name

    def stored(self) -> list[Row]:
        """The rows of all segments, in order."""
        return [
            row
            for cut in self.cuts
            for row in pq.read_table(self.segment(cut) / "rows.parquet").to_pylist()
        ]


def image_id(number: int) -> str:
    """The image id of a number; their order is not that of the numbers."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"image {number}"))


def vector_of(part: int, position: int, space: str) -> npt.NDArray[np.float16]:
    """A vector that says where it came from (sorting copies vectors and never looks at them)."""
    vector = np.zeros(DIMS[space], np.float16)
    vector[:3] = part, position, len(space)
    return vector


def make_row(number: int, rng: np.random.Generator) -> Row:
    """One random record with one picture; fields repeat often enough to collide."""

    def one_of(choices: Sequence[Any]) -> Any:
        return choices[int(rng.integers(len(choices)))]

    lineage = one_of(LINEAGES)
    latitude, longitude, cell = None, None, None
    uncertainty_m = one_of((None, 30.0, 9_000.0, 250_000.0))
    if rng.random() < 0.8:
        latitude, longitude = 46.0 + rng.uniform(0, 0.4), 7.0 + rng.uniform(0, 0.4)
        (cell,) = place(
            [latitude], [longitude], [np.nan if uncertainty_m is None else uncertainty_m], FINEST
        ).tolist()
    first = date(2019 + int(rng.integers(3)), 1, 1) + timedelta(days=int(rng.integers(3)) * 150)
    days = one_of((None, 0, 0, 0, 20, 400))
    observed = (None, None) if days is None else (first, first + timedelta(days=days))
    text = one_of(("frog", "toad"))
    media = rng.bytes(int(rng.integers(1, 40))) if rng.random() < 0.5 else None
    return {
        "image_id": image_id(number),
        # Records have up to three photos, and two sources may use one identifier.
        "occurrence_id": f"record {int(rng.integers(60))}",
        "scientific_name": next((name for name in reversed(lineage) if name), ""),
        "lineage": list(lineage),
        "common_name": "" if "Rana" not in lineage else one_of(("", "common frog")),
        "latitude": latitude,
        "longitude": longitude,
        "uncertainty_m": uncertainty_m,
        "cell": cell,
        "observed_from": observed[0],
        "observed_to": observed[1],
        "observer": one_of((None, "Ada", "Ben", "Cleo")),
        "basis_of_record": "HumanObservation",
        "dataset_key": one_of((None, "50c9509d")),
        "licence": one_of(LICENCES),
        "media_licence": one_of(LICENCES),
        "rights_holder": one_of((None, "A. Holder")),
        "reference_url": f"https://example.org/{number}",
        "media_url": None,
        "media_ref": f"{number}.png",
        "flags": int(one_of(FLAGS)),
        "source_key": one_of(("garden", "museum")),
        "row": number + 2,
        "media_sha256": one_of((None, f"{number:064x}", f"{number:064x}", f"{text:>64}")),
        "media_type": None if media is None else "image/jpeg",
        "media": media,
    }


def write_part(folder: Path, number: int, rows: Sequence[Row]) -> PartFiles:
    """Write one embedded part."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"part-{number:05d}"
    files = PartFiles(
        records=folder / f"{name}.parquet",
        rejects=folder / f"{name}.rejects.parquet",
        vectors={space: folder / f"{name}.{space}.f16" for space in DIMS},
    )
    pq.write_table(pa.Table.from_pylist(list(rows), EMBEDDED_SCHEMA), files.records)
    pq.write_table(REJECT_SCHEMA.empty_table(), files.rejects)
    for space, path in files.vectors.items():
        vectors = [vector_of(number, position, space) for position in range(len(rows))]
        path.write_bytes(np.array(vectors, np.float16).tobytes())
    return files


def sort_world(folder: Path, rows: Sequence[Sequence[Row]], segment_rows: int) -> World:
    """Write the parts and run the sort stage over them."""
    parts = [write_part(folder / "embed", i, part) for i, part in enumerate(rows)]
    found = order_rows(
        parts,
        RANKS,
        scratch=folder / "scratch",
        order=folder / "order.parquet",
        taxa=folder / "taxa.parquet",
        names=folder / "names.parquet",
        duplicates=folder / "duplicates.parquet",
    )
    world = World(
        folder=folder,
        rows=tuple(tuple(part) for part in rows),
        parts=tuple(parts),
        cuts=tuple(cut_segments(found.rows, segment_rows, 1)),
        found=found,
    )
    write_segments(world)
    return world


def write_segments(world: World) -> None:
    """Write every segment of a world."""
    for cut in world.cuts:
        write_segment(
            world.parts,
            DIMS,
            cut,
            order=world.order,
            scratch=world.folder / "scratch",
            folder=world.segment(cut),
            hosts_pictures=True,
            progress=lambda _rows: None,
        )


def random_rows(seed: int, sizes: Sequence[int]) -> list[list[Row]]:
    """Parts of random rows; one image in twelve came in an earlier row already."""
    rng = np.random.default_rng(seed)
    parts: list[list[Row]] = []
    number = 0
    for size in sizes:
        part = []
        for _ in range(size):
            again = number > 0 and rng.random() < 1 / 12
            row = make_row(number, rng)
            if again:
                row["image_id"] = image_id(int(rng.integers(number)))
            part.append(row)
            number += 1
        parts.append(part)
    return parts
