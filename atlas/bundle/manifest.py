"""What a bundle holds: the manifest, its files and their checksums.

A manifest is written once and never changed; `CURRENT` names the live one. Pure data and its JSON
form, no knowledge of FAISS or DuckDB.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

import msgspec

from atlas.errors import BundleError

FORMAT_VERSION = 3
# Version 2 stored every image id, which the catalog tells by itself.
READABLE_VERSIONS = frozenset({2, FORMAT_VERSION})
CURRENT = "CURRENT"

StructT = TypeVar("StructT")


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the bundle: path relative to the bundle's folder, size, SHA-256 in hex."""

    path: str
    size_bytes: int
    sha256: str


class SegmentEntry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One immutable shard: rows `first_row` to `first_row + rows - 1`.

    `tombstones` is the file of its removed rows: a removal writes a file of its own, so that the
    manifests before it stay true.
    """

    name: str
    first_row: int
    rows: int
    hosts_pictures: bool
    tombstones: str = "tombstones.roar"


class PromptTemplates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How text is put before the encoder; `{text}`, `{scientific}` and `{common}` are filled in."""

    query: str = "{text}"
    scientific: str = "a photo of {scientific}."
    common: str = "a photo of {common}."
    both: str = "a photo of {scientific} with common name {common}."


class SpaceDescription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One encoder's vector space; the content of `spaces/NAME/space.json`.

    `encoder` and `pretrained` say how to load the encoder ("" when the vectors came ready and the
    plan names none). `fingerprint` is that of the weights which made the vectors, None when
    unknown. `factory` is the FAISS factory string of the trained index, None for exact search.
    Vectors are unit vectors of `dim` float16 numbers.
    """

    name: str
    encoder: str
    pretrained: str | None = None
    fingerprint: str | None = None
    dim: int
    normalised: bool = True
    preprocessing: dict[str, Any] = {}
    prompts: PromptTemplates = PromptTemplates()
    factory: str | None = None


class SpaceEntry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A space and its folder below `spaces/` (a later build trains into a folder of its own).

    `curve` is the file of its measured recall: rows that are added are measured into a new one.
    """

    name: str
    folder: str
    curve: str = "curve.json"


class SourceEntry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Where rows came from, how to cite it, and its account: rows in = rows out + rejects.

    `removed` counts those of `rows_out` that were removed since.
    """

    key: str
    kind: str
    title: str
    citation: str
    licence: str
    url: str
    rows_in: int
    rows_out: int
    rejects: dict[str, int]
    removed: int = 0


class LayerEntry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A place layer: what is where, for every cell and for every row of `segments`.

    `kind` is `distance` (metres to the nearest feature, for each of `orders` where it has them),
    `category` (one of `names`) or `value` (a quantity in `unit`). `feature` is what it tells of:
    river, lake, coast, country, region, habitat, elevation or another word. `cells` and `names`
    are files in `folder`, below `layers/`. `accuracy_m` is how far the data may be off: it was
    added to the uncertainty of every record. `fingerprint` stands for the file or package that it
    was made from, `rule` says to people how.
    """

    name: str
    kind: Literal["distance", "category", "value"]
    feature: str
    folder: str
    cells: str
    segments: tuple[str, ...]
    orders: tuple[float, ...] = ()
    names: str = ""
    unit: str = "m"
    accuracy_m: float = 0.0
    rule: str
    title: str
    origin: str
    fingerprint: str
    licence: str = ""
    citation: str = ""
    url: str = ""
    made_at: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of a bundle. `built_at` is an ISO 8601 time in UTC.

    `identity` stands for all input and settings: a build of the same identity has nothing to do.
    `catalog` and `rejects` are paths of the DuckDB file and of the rejects Parquet. `sensitive` is
    the SHA-256, in hex, of the table by which places were made coarse, "" where there was none.
    """

    format_version: int
    number: int
    title: str
    description: str
    demonstration: bool
    built_at: str
    identity: str
    rows: int
    ranks: tuple[str, ...]
    cell_resolution: int
    catalog: str
    rejects: str
    segments: tuple[SegmentEntry, ...]
    spaces: tuple[SpaceEntry, ...]
    sources: tuple[SourceEntry, ...]
    layers: tuple[LayerEntry, ...] = ()
    files: tuple[FileEntry, ...]
    sensitive: str = ""

    @property
    def built_on(self) -> dt.date:
        """The day of the build: where the data end, and ages count from."""
        return dt.datetime.fromisoformat(self.built_at).date()

    def file(self, path: str) -> FileEntry:
        """The entry of one file; KeyError when the manifest lists no such file."""
        for entry in self.files:
            if entry.path == path:
                return entry
        raise KeyError(path)


def manifest_name(number: int) -> str:
    """File name of the manifest with this number."""
    return f"manifest-{number:06d}.json"


def encode_json(value: object) -> bytes:
    """Canonical JSON: sorted keys, two spaces, a final newline; equal values give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def read_struct(path: Path, kind: type[StructT]) -> StructT:
    """Read one JSON file of the bundle as `kind`; BundleError names the file and the problem."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as error:
        raise BundleError(path, "this file is missing") from error
    except (OSError, msgspec.DecodeError) as error:
        raise BundleError(path, f"this file cannot be read: {error}") from error


def read_current(root: Path) -> Path:
    """Path of the live manifest; BundleError when there is none."""
    pointer = root / CURRENT
    try:
        name = pointer.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise BundleError(pointer, "no bundle here: this file is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(pointer, f"this file cannot be read: {error}") from error
    if PurePosixPath(name).name != name or not name.startswith("manifest-"):
        raise BundleError(pointer, f"does not name a manifest: {name!r}")
    return root / name


def read_manifest(path: Path) -> Manifest:
    """Read a manifest and check that this program knows its format."""
    manifest = read_struct(path, Manifest)
    if manifest.format_version not in READABLE_VERSIONS:
        known = " and ".join(map(str, sorted(READABLE_VERSIONS)))
        raise BundleError(
            path,
            f"format version {manifest.format_version}; this program reads {known}",
        )
    return manifest
