"""A small TreeOfLife-200M: catalog, provenance, and shards of both kinds, sound or broken."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from indexer.plan_sections import DEFAULT_RANKS, TreeOfLifeSection
from indexer.sources.tree_of_life import TreeOfLifeSource

FROG = ("Animalia", "Chordata", "Amphibia", "Anura", "Hylidae", "Hyla", "arborea")


def uuid_of(number: int) -> str:
    """The UUID of a number."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def jpeg(number: int) -> bytes:
    """A picture that no other number has."""
    target = io.BytesIO()
    Image.new("RGB", (24, 20), (number % 256, 90, 30)).save(target, "JPEG")
    return target.getvalue()


def catalog_row(number: int, **changed: str | None) -> dict[str, str | None]:
    """A row as the catalog has them."""
    ranks: dict[str, str | None] = dict(zip(DEFAULT_RANKS, FROG, strict=True))
    return {
        "uuid": uuid_of(number),
        "source_url": f"https://example.org/{number}.jpg",
        **ranks,
        "scientific_name": "Hyla arborea",
        "common": "European tree frog",
        "data_source": "gbif",
        "publisher": "iNaturalist.org",
        "basisOfRecord": "HUMAN_OBSERVATION",
        "source_id": f"{1000 + number}",
        **changed,
    }


def write_catalog(folder: Path, rows: Sequence[Mapping[str, str | None]], **options: Any) -> Path:
    """`catalog.parquet` in a folder."""
    folder.mkdir(exist_ok=True)
    schema = pa.schema([pa.field(name, pa.string()) for name in rows[0]])
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    pq.write_table(table, folder / "catalog.parquet", **options)
    return folder


def write_provenance(folder: Path, rows: Sequence[Mapping[str, str | None]]) -> None:
    """`metadata/provenance.parquet` in a folder."""
    (folder / "metadata").mkdir()
    pq.write_table(
        pa.Table.from_pylist([dict(row) for row in rows]), folder / "metadata/provenance.parquet"
    )


def write_tar(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    """A WebDataset shard; the members of a sample stand together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def sample(number: int) -> list[tuple[str, bytes]]:
    """A sample as the data set's own tool writes them: texts around the picture."""
    key = uuid_of(number)
    return [
        (f"{key}.com.txt", b"a photo of European tree frog."),
        (f"{key}.jpg", jpeg(number)),
        (f"{key}.taxonTag_com.txt", b"a photo of kingdom Animalia."),
    ]


def samples(numbers: Sequence[int]) -> list[tuple[str, bytes]]:
    """Members of several samples."""
    return [member for number in numbers for member in sample(number)]


def write_image_table(path: Path, numbers: Sequence[int], **options: Any) -> Path:
    """A Parquet shard with a picture file a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            "uuid": [uuid_of(number) for number in numbers],
            "image": pa.array([jpeg(number) for number in numbers], pa.binary()),
        }
    )
    pq.write_table(table, path, **options)
    return path


def source_of(folder: Path, *, with_pictures: bool = True, **settings: Any) -> TreeOfLifeSource:
    """A source of the catalog and shards in a folder."""
    section = TreeOfLifeSection(key="tol", title="Tree of life", path=folder, **settings)
    return TreeOfLifeSource(
        section,
        ranks=DEFAULT_RANKS,
        resolution=7,
        part_rows=4,
        with_pictures=with_pictures,
        max_file_bytes=1_000_000,
        scratch=folder / "scratch",
    )
