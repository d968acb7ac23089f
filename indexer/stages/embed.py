"""Turns the records of one part into vectors, and copies the photos that may be copied.

Knows encoders and sources by protocol. A pure function from part to part: pictures are read,
decoded and prepared by threads ahead of the model, which has one caller. The files appear whole,
the report last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from atlas.bundle.files import atomic_path
from atlas.bundle.flags import HIDDEN_PLACE, Flag
from atlas.errors import BuildError, PictureError
from atlas.search.pictures import hosted_copy, read_picture
from indexer.licences import normalise_licence
from indexer.parts import (
    PartReport,
    begin,
    finished,
    link_file,
    parquet_options,
    records_path,
    rejects_path,
    report_of,
    sizes_of,
    vectors_path,
    write_report,
    write_table,
)
from indexer.plan_sections import MediaSection
from indexer.records import EMBEDDED_SCHEMA, RECORD_SCHEMA, Reject, rejects_table
from indexer.sources import Source

Pixels = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]

_STAGE = "embed"
# Records whose prepared pictures are held at once, and as many again being prepared: 150 MB each
# at 224 pixels. Always the same runs of the same records go through the model together, so a part
# that is done again has the same bytes.
RUN_ROWS = 1_024


class PictureEncoder(Protocol):
    """What this stage needs of `atlas.search.encoder.OpenClipEncoder`."""

    @property
    def dim(self) -> int:
        """Number of dimensions of a vector."""

    @property
    def batch_size(self) -> int:
        """Most pictures of a batch."""

    def prepare(self, picture: Image.Image) -> Pixels:
        """uint8 [3, height, width]; called by many threads."""

    def encode_batches(self, batches: Iterable[Pixels]) -> Iterator[Vectors]:
        """Unit vectors of each batch; called by one thread."""


class EmbedJob(NamedTuple):
    """One part to embed: where its records lie, where the result goes, and with what.

    `encoders` by space; not used for a part whose vectors came ready, which are those of
    `ready_spaces`: none where its records have no pictures. None where pictures make the vectors.
    """

    part: str
    identity: str
    read_folder: Path
    folder: Path
    source: Source
    encoders: Mapping[str, PictureEncoder]
    media: MediaSection
    decode_threads: int = 4
    ready_spaces: tuple[str, ...] | None = None


class _Prepared(NamedTuple):
    """A picture ready for the models, and what is kept of its file."""

    pixels: dict[str, Pixels]
    media_sha256: str
    media: bytes | None
    media_type: str | None


def embed_part(job: EmbedJob, progress: Callable[[int], None] | None = None) -> PartReport:
    """Write `PART.parquet`, `PART.SPACE.f16`, `PART.rejects.parquet` and `PART.json`.

    Rejects are those of this stage only. `progress` is called with the number of rows that were
    dealt with since the last call. A finished part of the same identity is left as it is. Raises
    BuildError where the rows do not add up.
    """
    done = finished(job.folder, job.part, job.identity)
    if done is not None:
        if progress is not None:
            progress(done.rows_in)
        return done
    begin(job.folder, job.part)
    report = progress if progress is not None else _silent
    if job.ready_spaces is not None:
        return _keep_ready_vectors(job, job.ready_spaces, report)
    return _embed_pictures(job, pq.read_table(records_path(job.read_folder, job.part)), report)


def _silent(rows: int) -> None:
    """Report progress to nobody."""


def _keep_ready_vectors(
    job: EmbedJob, spaces: tuple[str, ...], progress: Callable[[int], None]
) -> PartReport:
    """Take over records and the vectors that came with them: the read part's own files, linked."""
    read = report_of(job.read_folder, job.part)
    link_file(records_path(job.read_folder, job.part), records_path(job.folder, job.part))
    dims = {space: read.dims[space] for space in spaces}
    for space in spaces:
        link_file(
            vectors_path(job.read_folder, job.part, space),
            vectors_path(job.folder, job.part, space),
        )
    write_table(rejects_path(job.folder, job.part), rejects_table([]))
    progress(read.rows_out)
    return _finish(job, dims, rows_in=read.rows_out, rows_out=read.rows_out, rejects=0)


def _embed_pictures(
    job: EmbedJob, records: pa.Table, progress: Callable[[int], None]
) -> PartReport:
    """Decode, encode and write run by run, so that memory does not grow with the part."""
    rejects: list[Reject] = []
    rows_out = 0
    spaces = sorted(job.encoders)
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(job.decode_threads, "decode")
        stack.callback(pool.shutdown, cancel_futures=True)
        table_path = stack.enter_context(atomic_path(records_path(job.folder, job.part)))
        vector_files = {
            space: stack.enter_context(
                stack.enter_context(atomic_path(vectors_path(job.folder, job.part, space))).open(
                    "wb"
                )
            )
            for space in spaces
        }
        writer = stack.enter_context(
            pq.ParquetWriter(table_path, EMBEDDED_SCHEMA, **parquet_options(EMBEDDED_SCHEMA))
        )
        for run, outcomes in _runs_ahead(job, records, pool):
            kept = [at for at, outcome in enumerate(outcomes) if isinstance(outcome, _Prepared)]
            prepared = [outcome for outcome in outcomes if isinstance(outcome, _Prepared)]
            rejects += [outcome for outcome in outcomes if isinstance(outcome, Reject)]
            for space in spaces:
                for vectors in _encoded(job.encoders[space], space, prepared):
                    vector_files[space].write(vectors.astype("<f2").tobytes())
            writer.write_table(_with_media(run.take(pa.array(kept, pa.int64())), prepared))
            rows_out += len(prepared)
            progress(run.num_rows)
    write_table(rejects_path(job.folder, job.part), rejects_table(rejects))
    dims = {space: job.encoders[space].dim for space in spaces}
    return _finish(job, dims, rows_in=records.num_rows, rows_out=rows_out, rejects=len(rejects))


def _runs_ahead(
    job: EmbedJob, records: pa.Table, pool: ThreadPoolExecutor
) -> Iterator[tuple[pa.Table, list[_Prepared | Reject]]]:
    """Each run of records with its pictures; the next run is prepared while one is in use."""
    hosted = _hosted_codes(job.media)
    waiting: list[tuple[pa.Table, list[Future[_Prepared | Reject]]]] = []
    for first in range(0, records.num_rows, RUN_ROWS):
        run = records.slice(first, RUN_ROWS)
        columns = ("row", "occurrence_id", "media_ref", "media_licence", "flags")
        rows = run.select(columns).to_pylist()
        waiting.append((run, [pool.submit(_prepare, job, row, hosted) for row in rows]))
        if len(waiting) == 2:
            ready, futures = waiting.pop(0)
            yield ready, [future.result() for future in futures]
    for ready, futures in waiting:
        yield ready, [future.result() for future in futures]


def _hosted_codes(media: MediaSection) -> frozenset[str]:
    """Licence codes whose photos are copied, however the plan spells them."""
    licences = (normalise_licence(text) for text in media.host)
    return frozenset(licence.code for licence in licences if licence is not None)


def _prepare(job: EmbedJob, row: dict[str, Any], hosted: frozenset[str]) -> _Prepared | Reject:
    """Read and decode one picture and make it ready for every model; runs in a thread."""
    media_ref = row["media_ref"]
    try:
        data = job.source.picture(media_ref)
        picture = read_picture(data, max_pixels=job.media.max_pixels)
        media, media_type = None, None
        if row["media_licence"] in hosted:
            media, media_type = hosted_copy(picture, job.media.max_side_px)
        pixels = {space: encoder.prepare(picture) for space, encoder in job.encoders.items()}
    except PictureError as error:
        # The name of a file may tell where a sensitive organism was found.
        hidden = bool(row["flags"] & HIDDEN_PLACE)
        return Reject(
            source_key=job.source.settings.key,
            part=job.part,
            row=row["row"],
            occurrence_id=row["occurrence_id"],
            media_ref=None if hidden else media_ref,
            stage=_STAGE,
            reason=str(error.reason),
            detail=f"row {row['row']}: its taxon is sensitive" if hidden else error.problem,
        )
    except Exception as error:
        # Anything else is a fault of ours: stop, and say at which picture.
        problem = f"{media_ref} (row {row['row']}): {type(error).__name__}: {error}"
        raise BuildError(_STAGE, problem) from error
    # The file of a photo whose place is hidden may hold it, so the pixels stand for the file.
    hidden = row["flags"] & (HIDDEN_PLACE | Flag.LOCATION_OBSCURED)
    whole = picture.tobytes() if hidden else data
    return _Prepared(pixels, hashlib.sha256(whole).hexdigest(), media, media_type)


def _encoded(encoder: PictureEncoder, space: str, prepared: list[_Prepared]) -> Iterator[Vectors]:
    """Vectors of a run, batch by batch. Raises BuildError where one is no unit vector."""
    batches = (
        np.stack([item.pixels[space] for item in prepared[first : first + encoder.batch_size]])
        for first in range(0, len(prepared), encoder.batch_size)
    )
    rows = 0
    for vectors in encoder.encode_batches(batches):
        # A NaN fails this comparison too.
        if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-3).all():
            raise BuildError(_STAGE, f"the encoder of space {space!r} made vectors not of length 1")
        rows += len(vectors)
        yield vectors
    if rows != len(prepared):
        raise BuildError(
            _STAGE,
            f"the encoder of space {space!r} made {rows} vectors of {len(prepared)} pictures",
        )


def _with_media(records: pa.Table, prepared: list[_Prepared]) -> pa.Table:
    added = {
        "media_sha256": [item.media_sha256 for item in prepared],
        "media_type": [item.media_type for item in prepared],
        "media": [item.media for item in prepared],
    }
    columns = [
        records[field.name]
        if field.name in RECORD_SCHEMA.names
        else pa.array(added[field.name], field.type)
        for field in EMBEDDED_SCHEMA
    ]
    return pa.table(columns, schema=EMBEDDED_SCHEMA)


def _finish(
    job: EmbedJob, dims: dict[str, int], *, rows_in: int, rows_out: int, rejects: int
) -> PartReport:
    """Check the vector files against the rows, and write the report."""
    vector_files = [vectors_path(job.folder, job.part, space) for space in dims]
    for path, dim in zip(vector_files, dims.values(), strict=True):
        if path.stat().st_size != rows_out * dim * 2:
            raise BuildError(_STAGE, f"{path.name} does not hold {rows_out} vectors of {dim}")
    files = sizes_of(
        records_path(job.folder, job.part), rejects_path(job.folder, job.part), *vector_files
    )
    return write_report(
        job.folder,
        PartReport(
            part=job.part,
            stage=_STAGE,
            identity=job.identity,
            rows_in=rows_in,
            rows_out=rows_out,
            rejects=rejects,
            dims=dims,
            files=files,
        ),
    )
