"""What is fixed when an assembly starts: the bundle's number, names and date.

A resumed assembly goes on with them, so that it ends with the same bundle.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from atlas.bundle.bundle import SEGMENTS, SPACES
from atlas.bundle.files import atomic_write
from atlas.bundle.manifest import (
    CURRENT,
    Manifest,
    SpaceEntry,
    encode_json,
    manifest_name,
    read_current,
    read_manifest,
    read_struct,
)
from atlas.bundle.publish import next_number
from atlas.errors import BuildError
from indexer.account import Parts
from indexer.layers.built import sources_of
from indexer.plan import Plan
from indexer.work import WorkFolder
from indexer.written import WrittenFiles, taken_over

# Raised by hand when a change of the code makes another bundle from the same parts.
_ASSEMBLY_VERSION = 3


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Number, names and date of the bundle in the making."""

    identity: str
    number: int
    first_segment: int
    spaces: tuple[SpaceEntry, ...]
    built_at: str

    @property
    def catalog_name(self) -> str:
        """Name of the DuckDB file in the bundle."""
        return f"catalog-{self.number:06d}.duckdb"

    @property
    def rejects_name(self) -> str:
        """Name of the rejects file in the bundle."""
        return f"rejects-{self.number:06d}.parquet"

    def space_folder(self, space: str) -> str:
        """Folder of a space below `spaces/`."""
        return next(entry.folder for entry in self.spaces if entry.name == space)


def identity_of(plan: Plan, parts: Parts) -> str:
    """SHA-256, in hex, of all that the bundle follows from: its parts and the plan's settings."""
    shaping: dict[str, object] = {
        "version": _ASSEMBLY_VERSION,
        "plan": plan.fingerprint(),
        "parts": {name: report.identity for name, report in parts.embedded.items()},
    }
    if plan.layers:
        shaping["layers"] = sources_of(plan.layers)
    return hashlib.sha256(msgspec.json.encode(shaping, order="sorted")).hexdigest()


def live_manifest(root: Path) -> Manifest | None:
    """The manifest that is live in `root`, None where there is none yet."""
    return read_manifest(read_current(root)) if (root / CURRENT).exists() else None


def begin(plan: Plan, work: WorkFolder, identity: str, note: Callable[[str], None]) -> State:
    """The state of the assembly that was begun with this identity, or of a fresh one.

    `note` is told of files of an earlier run that are not as it wrote them.
    """
    root = plan.output.bundle

    def spaces(number: int) -> tuple[SpaceEntry, ...]:
        return tuple(
            SpaceEntry(name=space.name, folder=_free_folder(root / SPACES, space.name, number))
            for space in plan.spaces
        )

    return begin_in(root, work, identity, spaces, note)


def new_folders(root: Path, spaces: Iterable[SpaceEntry], number: int) -> tuple[SpaceEntry, ...]:
    """The spaces in folders that no bundle in `root` has, for bundle `number`."""
    return tuple(
        SpaceEntry(name=space.name, folder=_free_folder(root / SPACES, space.name, number))
        for space in spaces
    )


def begin_in(
    root: Path,
    work: WorkFolder,
    identity: str,
    spaces: Callable[[int], tuple[SpaceEntry, ...]],
    note: Callable[[str], None],
) -> State:
    """The same for any bundle; `spaces` gives its spaces from its number.

    An assembly of another identity is removed: its files follow from other input.
    """
    state = _taken_over(root, work, identity, note)
    if state is not None:
        return state
    if work.assembly.exists():
        shutil.rmtree(work.assembly)
    number = next_number(root)
    state = State(
        identity=identity,
        number=number,
        first_segment=_next_segment(root),
        spaces=spaces(number),
        built_at=datetime.fromtimestamp(_built_at_s(), UTC).isoformat(),
    )
    with WrittenFiles(work.assembly).noting():
        atomic_write(work.state, encode_json(state))
    return state


def _taken_over(
    root: Path, work: WorkFolder, identity: str, note: Callable[[str], None]
) -> State | None:
    """The state of an assembly of this identity, whose files are as they were written now.

    None where there is none, or where what is fixed for it cannot be trusted.
    """
    if not work.state.exists():
        return None
    written = taken_over(work.assembly)
    if not written.is_whole(work.state):
        note(f"{work.assembly}: what was begun is not as it was written, and is begun anew")
        return None
    state = read_struct(work.state, State)
    if state.identity != identity:
        return None
    # All of them are read, and nothing else would be said meanwhile.
    note(f"going on in {work.assembly}: {written.size_bytes:,} bytes are compared first")
    # One that was live may share its files with the bundle that is live now: none is taken back.
    if (root / manifest_name(state.number)).exists() and not written.all_whole():
        return None
    for path in written.drop_damaged():
        note(f"{path} is not as it was written, and is made again")
    return state


def _next_segment(root: Path) -> int:
    names = [path.name for path in (root / SEGMENTS).glob("[0-9]*")]
    return 1 + max((int(name) for name in names), default=0)


def _free_folder(spaces: Path, name: str, number: int) -> str:
    """The space's name, or with a number from this one up where that folder is taken.

    By an earlier bundle, or by a build that was stopped after it had moved its spaces.
    """
    folder = name
    while (spaces / folder).exists():
        folder = f"{name}-{number:06d}"
        number += 1
    return folder


def _built_at_s() -> int:
    """Seconds since 1970: SOURCE_DATE_EPOCH where set, as reproducible builds do, else now."""
    stated = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return int(stated) if stated else int(time.time())
    except ValueError as error:
        raise BuildError("start", f"SOURCE_DATE_EPOCH is not a number: {stated!r}") from error
