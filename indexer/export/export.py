"""One export: chosen rows, written whole or not at all, and the account of what was written.

The composition of choosing, reading and writing. One thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow.compute as pc

from atlas.bundle.bundle import Bundle
from atlas.bundle.files import atomic_path
from atlas.errors import BuildError, InvalidQuery, NotFound
from indexer.export.archive import write_archive
from indexer.export.chosen import choose
from indexer.export.rows import Batch, batches
from indexer.export.tables import write_csv, write_parquet
from indexer.progress import Advance, Watcher

Format = Literal["parquet", "csv", "dwca"]


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """What an export holds: `photos` rows of the bundle, by source and by photo licence.

    `living` rows are in the bundle and were not removed; `held_back` meet the filter and are hidden
    for their quality; `unjudged` may meet it, and place layers cannot tell. `space` is that of the
    vectors, "" without. `occurrences`, `media` and `without_address` are those of an archive: every
    photo is one of its media or has no address.
    """

    file: str
    format: Format
    size_bytes: int
    bundle: str
    number: int
    living: int
    photos: int
    held_back: int
    unjudged: int
    by_source: dict[str, int]
    by_licence: dict[str, int]
    space: str = ""
    occurrences: int | None = None
    media: int | None = None
    without_address: int | None = None


def export_bundle(
    root: Path,
    output: Path,
    form: Format,
    watcher: Watcher,
    *,
    limits: Mapping[str, Any] | None = None,
    taxon: str | None = None,
    space: str | None = None,
) -> Export:
    """Write the rows of a bundle that pass a filter to `output`, and count them.

    `limits` are the fields of the API's filter, `space` names the vectors of a Parquet file. The
    file is written under another name and renamed when all rows are in it. Raises InvalidQuery for
    a filter that makes no sense or an output inside the bundle, NotFound for an unknown space,
    BuildError where the rows written are not those that pass.
    """
    if output.absolute().is_relative_to(root.absolute()):
        raise InvalidQuery("output", f"{output} lies inside the bundle, which nothing changes")
    with choose(root, limits or {}, taxon=taxon) as chosen:
        ranks, matching = chosen.bundle.manifest.ranks, chosen.rows.matching
        counts = _Counts()
        archived: dict[str, int] = {}
        vectors = _space(chosen.bundle, space) if form == "parquet" else None
        with (
            watcher.stage("export", matching, "photos") as advance,
            atomic_path(output) as temporary,
        ):
            if form == "dwca":
                archived = write_archive(temporary, chosen, partial(counts.add, advance))._asdict()
            else:
                counted = counts.counted(batches(chosen), advance)
                if form == "csv":
                    write_csv(temporary, ranks, counted)
                else:
                    dim = chosen.bundle.spaces[vectors].dim if vectors else 0
                    write_parquet(temporary, ranks, counted, space=vectors, dim=dim)
            if counts.photos != matching:
                raise BuildError(
                    "export", f"{matching} photos pass the filter, {counts.photos} were written"
                )
        return Export(
            file=str(output),
            format=form,
            size_bytes=output.stat().st_size,
            bundle=chosen.bundle.manifest.title,
            number=chosen.bundle.manifest.number,
            living=chosen.bundle.living_rows,
            photos=matching,
            held_back=chosen.rows.held_back,
            unjudged=chosen.rows.unjudged,
            by_source=dict(sorted(counts.sources.items())),
            by_licence=dict(sorted(counts.licences.items())),
            space=vectors or "",
            **archived,
        )


class _Counts:
    """Counts rows as they go to the file."""

    def __init__(self) -> None:
        self.photos = 0
        self.sources: Counter[str] = Counter()
        self.licences: Counter[str] = Counter()

    def add(self, advance: Advance, batch: Batch) -> None:
        """Count a batch."""
        self.photos += len(batch.positions)
        for counter, name in ((self.sources, "source"), (self.licences, "mediaLicense")):
            for found in pc.value_counts(batch.columns[name]).to_pylist():
                counter[found["values"] or "not stated"] += found["counts"]
        advance(len(batch.positions))

    def counted(self, given: Iterable[Batch], advance: Advance) -> Iterator[Batch]:
        """The same batches, counted on their way."""
        for batch in given:
            yield batch
            self.add(advance, batch)


def _space(bundle: Bundle, wanted: str | None) -> str | None:
    """The space whose vectors are written; None where the bundle has none."""
    names = sorted(bundle.spaces)
    if wanted is not None:
        if wanted not in names:
            raise NotFound("space", wanted)
        return wanted
    if len(names) > 1:
        raise InvalidQuery("space", f"the bundle has several, name one: {', '.join(names)}")
    return names[0] if names else None
