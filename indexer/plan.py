"""The build plan: one TOML file, read into frozen structs, refused with file and line when wrong.

Knows what a plan may say, not what a build does with it. Immutable, safe from any thread.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from atlas.errors import PlanError
from indexer.layers.section import LayerSection
from indexer.plan_lines import line_of
from indexer.plan_sections import (
    AtlasSection,
    CellsSection,
    DuplicatesSection,
    EmbeddingsSection,
    ExcludeSection,
    FolderSection,
    IndexSection,
    MeasureSection,
    MediaSection,
    OutputSection,
    PartsSection,
    QualitySection,
    RecordsSection,
    RejectsSection,
    Section,
    SensitiveSection,
    SourceSettings,
    SpaceSection,
    TaxaSection,
    WorkersSection,
)

LOCAL_ENCODER = "local-dir:"
# How fast and where a build runs; none of it changes a byte of the bundle.
_NOT_IN_FINGERPRINT = ("output", "workers", "rejects")
# The wording of msgspec's errors, which end in the place of the value at fault.
_WHERE = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<where>\$[^`]*)`)?$", re.DOTALL)


class Plan(Section, frozen=True, kw_only=True):
    """A whole build plan. `path` is the file it was read from."""

    atlas: AtlasSection
    """What the atlas is, as people will see it."""
    output: OutputSection
    """Where the bundle goes."""
    sources: tuple[SourceSettings, ...]
    """Where rows come from, in order: of two rows with one image id the first is kept."""
    spaces: tuple[SpaceSection, ...] = ()
    """Encoders and their vector spaces; none where all sources bring records without pictures."""
    index: IndexSection = IndexSection()
    """How vectors are indexed."""
    cells: CellsSection = CellsSection()
    """The H3 grid."""
    taxa: TaxaSection = TaxaSection()
    """The taxonomy."""
    layers: tuple[LayerSection, ...] = ()
    """Place layers that the bundle has from its first state on."""
    media: MediaSection = MediaSection()
    """Which photos are copied, and which are refused."""
    quality: QualitySection = QualitySection()
    """What makes a record doubtful."""
    sensitive: SensitiveSection = SensitiveSection()
    """Taxa whose places are made coarse."""
    exclude: ExcludeSection = ExcludeSection()
    """Rows that are to be left out."""
    duplicates: DuplicatesSection = DuplicatesSection()
    """Which photos repeat another."""
    rejects: RejectsSection = RejectsSection()
    """How much refused input a build accepts."""
    parts: PartsSection = PartsSection()
    """The unit of build work."""
    measure: MeasureSection = MeasureSection()
    """The check before a bundle is published."""
    workers: WorkersSection = WorkersSection()
    """How many parts are worked on at once."""
    path: Path = Path()

    def __post_init__(self) -> None:
        """Check what no section can: whether they fit together."""
        if not self.sources:
            raise ValueError("`sources` is empty: a plan needs at least one [[sources]] entry")
        _check_unique("sources", [source.key for source in self.sources])
        _check_unique("layers", [layer.name for layer in self.layers])
        _check_unique("spaces", [space.name for space in self.spaces])
        self._check_spaces_can_be_filled()

    def _check_spaces_can_be_filled(self) -> None:
        """Every row needs a vector in every space: ready ones have one space and no picture."""
        bare = [source.key for source in self.sources if isinstance(source, RecordsSection)]
        photos = [s.key for s in self.sources if isinstance(s, FolderSection | EmbeddingsSection)]
        if bare and photos:
            raise ValueError(
                f"`sources`: {bare[0]!r} brings records without pictures; a row without a vector "
                "cannot stand beside rows that are searched, so give it a plan of its own"
            )
        if bare and self.spaces:
            raise ValueError(
                f"`spaces`: source {bare[0]!r} brings no pictures to compute vectors from; a plan "
                "of records has no [[spaces]]"
            )
        if photos and not self.spaces:
            raise ValueError("`spaces` is empty: a plan needs at least one [[spaces]] entry")
        names = {space.name for space in self.spaces}
        for source in self.sources:
            if isinstance(source, EmbeddingsSection) and names != {source.space}:
                raise ValueError(
                    f"`spaces` are {', '.join(sorted(names))}, but source {source.key!r} brings "
                    f"vectors of {source.space!r} only and no pictures to compute others from"
                )
        pictures = any(not isinstance(source, EmbeddingsSection) for source in self.sources)
        for space in self.spaces:
            if pictures and not space.encoder:
                raise ValueError(f"`spaces`: {space.name!r} needs an encoder to read the pictures")

    def fingerprint(self) -> str:
        """SHA-256, in hex, of all settings that can change the content of the bundle.

        Where the bundle goes, how many workers build it and how many rejects it tolerates are left
        out; paths count relative to the plan's folder, so a moved project keeps its fingerprint.
        The input files themselves are not in it: see `indexer.identity`.
        """
        sections = {
            name: msgspec.to_builtins(getattr(self, name), enc_hook=self._portable)
            for name in self.__struct_fields__
            if name not in (*_NOT_IN_FINGERPRINT, "path")
        }
        folder = f"{self.path.parent}{os.sep}"
        for space in sections["spaces"]:
            space["encoder"] = space["encoder"].replace(LOCAL_ENCODER + folder, LOCAL_ENCODER)
        return hashlib.sha256(msgspec.json.encode(sections, order="sorted")).hexdigest()

    def _portable(self, value: object) -> str:
        """Write a path relative to the plan's folder, with forward slashes."""
        if isinstance(value, Path):
            return Path(os.path.relpath(value, self.path.parent)).as_posix()
        raise TypeError(f"a plan holds no {type(value).__name__}")


def _check_unique(field: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"`{field}`: {name!r} is used twice")


def read_plan(path: Path) -> Plan:
    """Read a plan file; relative paths in it start at its own folder.

    Raises PlanError with the file and, where it can be known, the line at fault.
    """
    # Not `resolve`: a linked plan speaks of the folder that the link lies in.
    path = path.absolute()
    text = read_text(path)
    values = parse_toml(path, text)
    if "path" in values:
        raise PlanError(path, "unknown section 'path'", line_of(text, "$", "path"))
    try:
        plan = msgspec.convert(
            {**values, "path": path}, Plan, dec_hook=lambda kind, value: _path(kind, value, path)
        )
    except msgspec.ValidationError as error:
        raise plan_error(path, text, str(error)) from error
    spaces = tuple(_with_local_encoder(space, path.parent) for space in plan.spaces)
    return msgspec.structs.replace(plan, spaces=spaces)


def read_text(path: Path) -> str:
    """The text of a settings file; PlanError where it is not there or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(path, f"is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise PlanError(path, f"cannot be read: {error.strerror}") from error


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """The values of TOML text; PlanError names the line at fault."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at_line = re.search(r"\(at line (\d+)", str(error))
        raise PlanError(
            path, f"is not valid TOML: {error}", int(at_line[1]) if at_line else None
        ) from error


def _path(kind: type, value: object, plan: Path) -> Path:
    """Resolve a path of the plan; called by msgspec for every field of type Path."""
    if kind is not Path:
        raise TypeError(f"a plan holds no {kind}")
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("expected the path of a file or folder")
    # Not `resolve`: a link that the operator made on purpose is kept as the name it is known by.
    return Path(os.path.normpath(plan.parent / Path(value).expanduser()))


def _with_local_encoder(space: SpaceSection, folder: Path) -> SpaceSection:
    if not space.encoder.startswith(LOCAL_ENCODER):
        return space
    place = os.path.normpath(folder / space.encoder.removeprefix(LOCAL_ENCODER))
    return msgspec.structs.replace(space, encoder=f"{LOCAL_ENCODER}{place}")


def plan_error(path: Path, text: str, message: str) -> PlanError:
    """Give a msgspec error, which names a place such as `$.sources[0].key`, its line."""
    match = _WHERE.match(message)
    problem, where = (match["problem"], match["where"] or "$") if match else (message, "$")
    named = re.search(r"`([A-Za-z_]+)`", problem)
    line = line_of(text, where, named[1] if named else None)
    place = where.removeprefix("$").removeprefix(".")
    return PlanError(path, f"{place}: {problem}" if place else problem, line)
