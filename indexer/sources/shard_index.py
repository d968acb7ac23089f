"""The index of all shards: where each picture lies, one file a shard, in the source's folder.

A shard is read through once, as long as it and its index stay the same; a build that is stopped
goes on with the next one. Knows shards, not catalogs. One process at a time.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.files import atomic_file
from atlas.errors import PlanError
from indexer.sources.parquet_shard import parquet_entries
from indexer.sources.shard_files import TAR, ShardFile, ShardFiles
from indexer.sources.tar_shard import ShardDamaged, ShardEntry, tar_entries
from indexer.written import taken_over

# Raised by hand when a change of the code finds other pictures in the same shard.
_VERSION = 1
_BATCH_ROWS = 65_536
_MOST_NAMED = 5
INDEX_SCHEMA = pa.schema(
    [
        pa.field("shard", pa.string()),
        pa.field("key", pa.string()),
        pa.field("name", pa.string()),
        pa.field("place", pa.int64()),
        pa.field("at", pa.int64()),
        pa.field("size_bytes", pa.int64()),
    ]
)


def index_shards(
    files: ShardFiles,
    shards: Sequence[ShardFile],
    folder: Path,
    *,
    id_column: str,
    image_column: str,
) -> list[Path]:
    """Write the index of every shard that has none yet, and say where they lie, in order.

    One that is not as it was written is none.

    Raises PlanError that names the damaged shards, each with the byte or row, after all others have
    been read: they are not read again when those are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = taken_over(folder)
    damaged: list[tuple[ShardFile, ShardDamaged]] = []
    found = []
    for shard in shards:
        settings = repr((_VERSION, shard.name, shard.stamp, id_column, image_column))
        path = folder / f"{hashlib.sha256(settings.encode()).hexdigest()[:32]}.parquet"
        found.append(path)
        if written.is_whole(path):
            continue
        try:
            with written.noting():
                _write(path, shard, _entries(files, shard, id_column, image_column))
        except ShardDamaged as error:
            damaged.append((shard, error))
    if damaged:
        shard, first = damaged[0]
        others = [name.name for name, _ in damaged[1:]]
        more = f"; {len(others)} more: {', '.join(others[:_MOST_NAMED])}" if others else ""
        raise PlanError(files.path_of(shard.name), f"{first}{more}")
    for path in set(folder.glob("*.parquet")).difference(found):
        path.unlink()  # of a shard that is no longer there, or has changed
    return found


def _entries(
    files: ShardFiles, shard: ShardFile, id_column: str, image_column: str
) -> Iterator[ShardEntry]:
    with files.open(shard.name) as file:
        if shard.name.lower().endswith(TAR):
            yield from tar_entries(file)
        else:
            yield from parquet_entries(file, id_column, image_column)


def _write(path: Path, shard: ShardFile, entries: Iterator[ShardEntry]) -> None:
    place = 0
    with atomic_file(path) as file, pq.ParquetWriter(file, INDEX_SCHEMA) as writer:
        while run := list(itertools.islice(entries, _BATCH_ROWS)):
            columns = {
                "shard": [shard.name] * len(run),
                "key": [_key(entry.key) for entry in run],
                "name": [entry.name for entry in run],
                "place": range(place, place + len(run)),
                "at": [entry.at for entry in run],
                "size_bytes": [entry.size_bytes for entry in run],
            }
            writer.write_table(pa.table(columns, schema=INDEX_SCHEMA))
            place += len(run)


def _key(key: str) -> str:
    """The key without its folder; what is no UTF-8 in a member's name is replaced."""
    return key.rpartition("/")[2].encode("utf-8", "replace").decode()
