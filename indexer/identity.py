"""What a part's content follows from, as one checksum: the same identity is the same work.

A part is done again when, and only when, something changed that can change its bytes: a setting
that its stage reads, the input file, a picture, the weights of an encoder. Titles, prompts, the
index or the gate are not among them. Where a build runs and with how many workers is neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from atlas.bundle.files import sha256_of
from indexer.parts import PartReport, records_path
from indexer.plan import Plan
from indexer.plan_sections import SpaceSection
from indexer.sources import Source, SourcePart

# Raised by hand when a change of the code makes other bytes from the same input.
_READ_VERSION = 4
_EMBED_VERSION = 4
# What people read of a source, and where it lies.
_NOT_READ = frozenset({"title", "citation", "url", "path", "records"})
_NOT_EMBEDDED = frozenset({"prompts", "fingerprint"})


def read_identity(plan: Plan, source: Source, part: SourcePart, curation: str) -> str:
    """Identity of the read stage's part: settings, and the input file's name, size and time.

    `curation` is the identity of what is done to every record.
    """
    settings = {
        name: value
        for name, value in msgspec.to_builtins(source.settings, enc_hook=str).items()
        if name not in _NOT_READ
    }
    where = {
        name: getattr(part, name)
        for name in ("name", "first_row", "rows", "offset", "first_line", "stamp")
    }
    # The dimension of ready vectors decides which rows are refused.
    dims = {space.name: space.dim for space in plan.spaces}
    return _sha256_of(
        "read",
        _READ_VERSION,
        settings,
        {**where, "file": part.file.name},
        list(plan.taxa.ranks),
        plan.cells.resolution,
        dims,
        curation,
    )


def embed_identity(
    plan: Plan, source: Source, read_folder: Path, part: str, fingerprints: Mapping[str, str]
) -> str:
    """Identity of the embed stage's part: the read part's bytes, its pictures, and the encoders.

    `fingerprints` are the encoders' by space. Pictures count with size and time, so one that was
    replaced is embedded again; fetched ones with their checksum, whenever they were fetched.
    """
    file = records_path(read_folder, part)
    references = pq.read_table(file, columns=["media_ref"])["media_ref"].to_pylist()
    stamps = [source.picture_stamp(reference) for reference in references if reference is not None]
    return _sha256_of(
        "embed",
        _EMBED_VERSION,
        sha256_of(file),
        stamps,
        msgspec.to_builtins(plan.media),
        [_space_settings(space, plan) for space in plan.spaces],
        dict(fingerprints),
    )


def ready_identity(plan: Plan, read: PartReport) -> str:
    """Identity of the embed stage's part of a part whose records have no pictures to embed.

    It is the same files under another name, so they count with what they were read from: hashing
    them would read the largest files of a build once more.
    """
    spaces = [_space_settings(space, plan) for space in plan.spaces]
    return _sha256_of("ready", _EMBED_VERSION, read.identity, spaces)


def _space_settings(space: SpaceSection, plan: Plan) -> dict[str, Any]:
    """Settings that can move a vector; the folder of a local encoder is not, its weights are."""
    settings = msgspec.to_builtins(space)
    settings["encoder"] = space.encoder.replace(str(plan.path.parent), "")
    return {name: value for name, value in settings.items() if name not in _NOT_EMBEDDED}


def _sha256_of(*values: object) -> str:
    return hashlib.sha256(msgspec.json.encode(values, order="sorted")).hexdigest()
