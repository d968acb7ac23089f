"""Small bundles of given vectors and records, several segments, any index.

For tests of searching; pictures and sources are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from atlas.bundle.bundle import SPACE_FILE, Bundle
from atlas.bundle.manifest import (
    FORMAT_VERSION,
    Manifest,
    SegmentEntry,
    SpaceDescription,
    SpaceEntry,
    encode_json,
)
from atlas.bundle.publish import describe_file, publish
from atlas.bundle.segment import TOMBSTONES, index_name, list_numbers_name, vectors_name
from atlas.search.index import encode_segment, train, write_index
from indexer.tables.segment_places import write_in_order
from tests.catalog_factory import FINEST, TAXA, ImageCase, TaxonCase, write_catalog

SPACE = "small"
FURTHER = "further"


def random_vectors(rows: int, dim: int, seed: int) -> npt.NDArray[np.float16]:
    """Random unit vectors, (rows, dim), of which every fifth repeats the one before it: ties."""
    vectors = np.random.default_rng(seed).standard_normal((rows, dim))
    vectors[5::5] = vectors[4:-1:5]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float16)


def write_bundle(
    root: Path,
    vectors: Sequence[npt.NDArray[np.float16]],
    *,
    images: Sequence[ImageCase] | None = None,
    removed: Sequence[int] = (),
    factories: Sequence[str | None] | None = None,
    further: Sequence[npt.NDArray[np.float16]] | None = None,
    taxa: Sequence[TaxonCase] = TAXA,
    duplicates: Mapping[int, int] | None = None,
    number: int = 1,
    in_order: bool = True,
) -> Bundle:
    """Write and open a bundle with one segment for each array of `vectors`.

    `images` has one record a row of all segments together; `removed` are row ids with a tombstone;
    `factories` gives each segment an index of that kind, None leaves it without. `further` are the
    vectors of a second space, `FURTHER`. `duplicates` are rows by the row that they repeat. With
    `in_order` segments keep their places in order, as the indexer makes them.
    """
    total = sum(len(part) for part in vectors)
    spaces = {SPACE: vectors} | ({} if further is None else {FURTHER: further})
    files, entries, first_row = [], [], 0
    for i, part in enumerate(vectors):
        folder = root / "segments" / f"{i:04d}"
        folder.mkdir(parents=True)
        inside = [row - first_row for row in removed if 0 <= row - first_row < len(part)]
        (folder / TOMBSTONES).write_bytes(BitMap(inside).serialize())
        for space, parts in spaces.items():
            _write_vectors(folder, space, parts[i], None if factories is None else factories[i])
        if in_order:
            of_rows = [ImageCase()] * len(part) if images is None else images[first_row:]
            write_in_order(folder, *_places(of_rows[: len(part)]))
        files += sorted(folder.iterdir())
        entries.append(
            SegmentEntry(
                name=folder.name, first_row=first_row, rows=len(part), hosts_pictures=False
            )
        )
        first_row += len(part)
    for space, parts in spaces.items():
        file = root / "spaces" / space / SPACE_FILE
        file.parent.mkdir(parents=True)
        dim = parts[0].shape[1]
        file.write_bytes(encode_json(SpaceDescription(name=space, encoder="", dim=dim)))
        files.append(file)
    catalog = write_catalog(
        root / "catalog.duckdb",
        [ImageCase()] * total if images is None else images,
        taxa,
        duplicates,
    )
    files.append(catalog)
    publish(
        root,
        Manifest(
            format_version=FORMAT_VERSION,
            number=number,
            title="small",
            description="",
            demonstration=False,
            built_at="2026-01-01T00:00:00Z",
            identity="",
            rows=total,
            ranks=("kingdom", "genus", "species"),
            cell_resolution=FINEST,
            catalog=catalog.name,
            rejects="",
            segments=tuple(entries),
            spaces=tuple(SpaceEntry(name=space, folder=space) for space in spaces),
            sources=(),
            files=tuple(describe_file(root, file) for file in files),
        ),
    )
    return Bundle.open(root)


def _places(images: Sequence[ImageCase]) -> tuple[npt.NDArray[np.float64], ...]:
    """Latitudes, longitudes and uncertainties, NaN where there is none."""
    known = [(image.latitude, image.longitude, image.uncertainty_m) for image in images]
    latitude, longitude, uncertainty_m = np.array(known, np.float64).reshape(-1, 3).T.copy()
    return latitude, longitude, uncertainty_m


def _write_vectors(
    folder: Path, space: str, vectors: npt.NDArray[np.float16], factory: str | None
) -> None:
    vectors.tofile(folder / vectors_name(space))
    if factory is not None:
        index, list_numbers = encode_segment(train(vectors, factory), vectors)
        write_index(index, folder / index_name(space))
        list_numbers.tofile(folder / list_numbers_name(space))
