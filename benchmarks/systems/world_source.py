"""A world as sources of the builder: one for each of its source keys, with vectors that are ready.

Gives records as any source does, places and days included, so that a bundle is built by the
builder's own stages.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from atlas.errors import PictureError
from benchmarks.conditions import WorldOnDisk
from benchmarks.lineages import RANKS
from benchmarks.worlds import LICENCES, SOURCES
from indexer.darwin_core import with_cells
from indexer.plan_sections import EmbeddingsSection
from indexer.records import RejectReason, records_table, rejects_table, schema_with_vectors
from indexer.sources import ReadPart, SourcePart
from indexer.sources.source import part_name

SPACE = "world"
_PART_ROWS = 65_536


def section_of(number: int, folder: Path) -> EmbeddingsSection:
    """The plan's entry of one source of a world."""
    key = SOURCES[number][0]
    return EmbeddingsSection(key=key, title=key, path=folder, space=SPACE)


class WorldSource:
    """The rows of a world that come from one of its sources."""

    def __init__(self, data: WorldOnDisk, number: int, folder: Path, resolution: int) -> None:
        """`number` in `worlds.SOURCES`; cells are stored at `resolution`."""
        self._data = data
        self._folder = folder
        self._resolution = resolution
        self._settings = section_of(number, folder)
        self._rows = np.flatnonzero(data.columns["source"] == number)

    @property
    def settings(self) -> EmbeddingsSection:
        """The plan's entry."""
        return self._settings

    def parts(self) -> list[SourcePart]:
        """Runs of this source's rows; none where it has none."""
        world = self._data.world
        return [
            SourcePart(
                source_key=self._settings.key,
                name=part_name(self._settings.key, number),
                number=number,
                file=self._folder,
                first_row=first,
                rows=min(_PART_ROWS, len(self._rows) - first),
                stamp=f"{world.rows} x {world.dim}, seed {world.seed}",
            )
            for number, first in enumerate(range(0, len(self._rows), _PART_ROWS))
        ]

    def read(self, part: SourcePart) -> ReadPart:
        """One part's records; nothing is refused."""
        rows = self._rows[part.first_row : part.first_row + part.rows]
        records = with_cells(self._records(rows), self._resolution)
        return ReadPart(records, rejects_table([]), len(rows))

    def _records(self, rows: npt.NDArray[np.int64]) -> pa.Table:
        data, count = self._data, len(rows)
        columns = {name: np.asarray(values[rows]) for name, values in data.columns.items()}
        lineages = data.world.lineages
        nodes = lineages.nodes[columns["species"]]
        names = [
            pa.array(lineages.names[depth], pa.string()).take(pa.array(nodes[:, depth]))
            for depth in range(len(RANKS))
        ]
        flat = pa.chunked_array(names).combine_chunks()
        turned = np.arange(count * len(RANKS)).reshape(len(RANKS), count).T.ravel()
        hexadecimal = columns["uuid"].tobytes().hex()
        ids = [hexadecimal[at : at + 32] for at in range(0, 32 * count, 32)]
        day = pa.array(columns["day"].astype(np.int32), pa.int32()).cast(pa.date32())
        codes = pa.array([code for code, _ in LICENCES]).take(pa.array(columns["licence"]))
        vectors = pa.array(np.asarray(data.vectors[rows]).ravel(), pa.float16())
        given = {
            "image_id": pa.array(
                [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in ids]
            ),
            "occurrence_id": pa.array([f"urn:uuid:{h}" for h in ids]),
            "scientific_name": names[-1],
            "lineage": pa.FixedSizeListArray.from_arrays(
                flat.take(pa.array(turned)), len(RANKS)
            ).cast(pa.list_(pa.string())),
            "common_name": pa.array([""] * count),
            "latitude": pa.array(columns["latitude"]),
            "longitude": pa.array(columns["longitude"]),
            "uncertainty_m": pa.array(
                columns["uncertainty_m"].astype(np.float32), from_pandas=True
            ),
            "observed_from": day,
            "observed_to": day,
            "observer": pa.array([f"Observer {n}" for n in columns["observer"].tolist()]),
            "licence": codes,
            "media_licence": codes,
            "flags": pa.array(np.zeros(count, np.int32)),
            "source_key": pa.array([self._settings.key] * count),
            "row": pa.array(rows + 1),
            "embedding": pa.FixedSizeListArray.from_arrays(vectors, data.dim),
        }
        schema = schema_with_vectors(data.dim)
        nothing = records_table([], schema)
        return pa.table(
            [
                given[field.name] if field.name in given else pa.nulls(count, field.type)
                for field in nothing.schema
            ],
            schema=schema,
        )

    def picture(self, media_ref: str) -> bytes:
        """Always raises PictureError: a world has no pictures."""
        raise PictureError(RejectReason.FILE_MISSING, f"a world has no pictures ({media_ref})")

    def picture_stamp(self, media_ref: str) -> str:
        """Always "": there are no pictures, not even of `media_ref`."""
        del media_ref
        return ""
