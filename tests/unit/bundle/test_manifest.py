"""The manifest: what a bundle says of itself, and what is refused before anything is opened."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from atlas.bundle.manifest import (
    CURRENT,
    FORMAT_VERSION,
    FileEntry,
    Manifest,
    SegmentEntry,
    SourceEntry,
    SpaceDescription,
    SpaceEntry,
    encode_json,
    manifest_name,
    read_current,
    read_manifest,
    read_struct,
)
from atlas.errors import BundleError

MANIFEST = Manifest(
    format_version=FORMAT_VERSION,
    number=7,
    title="Frogs of the Üetliberg",
    description="",
    demonstration=True,
    built_at="2026-01-01T00:00:00+00:00",
    identity="0" * 64,
    rows=3,
    ranks=("genus", "species"),
    cell_resolution=7,
    catalog="catalog-000007.duckdb",
    rejects="rejects-000007.parquet",
    segments=(SegmentEntry(name="0001", first_row=0, rows=3, hosts_pictures=True),),
    spaces=(SpaceEntry(name="tiny", folder="tiny-000007"),),
    sources=(
        SourceEntry(
            key="frogs",
            kind="folder",
            title="Frogs",
            citation="",
            licence="CC0-1.0",
            url="",
            rows_in=5,
            rows_out=3,
            rejects={"file_missing": 2},
        ),
    ),
    files=(FileEntry(path="CURRENT", size_bytes=1, sha256="ab"),),
)


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Would break: a field is lost or changed on its way through the file."""
    path = tmp_path / manifest_name(MANIFEST.number)
    assert path.name == "manifest-000007.json"
    path.write_bytes(encode_json(MANIFEST))
    assert read_manifest(path) == MANIFEST
    assert path.read_bytes().endswith(b"}\n")
    assert encode_json(read_manifest(path)) == path.read_bytes()


def test_equal_values_are_equal_bytes() -> None:
    """Would break: two builds of the same input differ in the order of keys."""
    assert encode_json({"b": 1, "a": {"d": 2, "c": 3}}) == encode_json(
        {"a": {"c": 3, "d": 2}, "b": 1}
    )


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("format_version", FORMAT_VERSION + 1, f"format version {FORMAT_VERSION + 1}"),
        ("format_version", 0, "format version 0"),
        ("added_later", True, "added_later"),
        ("rows", "three", "rows"),
        ("segments", [{"name": "0001"}], "segments"),
        ("segments", [msgspec.to_builtins(MANIFEST.segments[0]) | {"colour": "red"}], "colour"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(
    tmp_path: Path, field: str, value: object, problem: str
) -> None:
    """Would break: an older server reads a newer bundle by guesswork and answers wrongly."""
    path = tmp_path / "manifest-000001.json"
    path.write_bytes(encode_json(msgspec.to_builtins(MANIFEST) | {field: value}))
    with pytest.raises(BundleError, match=problem) as caught:
        read_manifest(path)
    assert caught.value.path == path
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "missing", [field.name for field in msgspec.structs.fields(Manifest) if field.required]
)
def test_every_field_of_the_first_bundles_is_required(tmp_path: Path, missing: str) -> None:
    """Would break: a manifest cut short by hand counts as one with defaults."""
    path = tmp_path / "manifest-000001.json"
    fields = msgspec.to_builtins(MANIFEST)
    del fields[missing]
    path.write_bytes(encode_json(fields))
    with pytest.raises(BundleError, match=missing):
        read_manifest(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"null"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    """Would break: a damaged description ends in a traceback that names no file."""
    path = tmp_path / "space.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match="cannot be read") as caught:
        read_struct(path, SpaceDescription)
    assert caught.value.path == path


def test_a_missing_description_is_named(tmp_path: Path) -> None:
    """Would break: the operator has to guess which of many files is gone."""
    with pytest.raises(BundleError, match="missing") as caught:
        read_struct(tmp_path / "space.json", SpaceDescription)
    assert caught.value.path == tmp_path / "space.json"
    (tmp_path / "folder").mkdir()
    with pytest.raises(BundleError, match="cannot be read"):
        read_struct(tmp_path / "folder", SpaceDescription)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"manifest", b"../manifest-000001.json", b"below/manifest-000001.json", b"\xff"],
)
def test_current_must_name_a_manifest(tmp_path: Path, content: bytes) -> None:
    """Would break: a damaged pointer opens a file outside the bundle."""
    (tmp_path / CURRENT).write_bytes(content)
    with pytest.raises(BundleError) as caught:
        read_current(tmp_path)
    assert caught.value.path == tmp_path / CURRENT


def test_current_leads_to_the_live_manifest(tmp_path: Path) -> None:
    """Would break: the server opens another manifest than the builder made live."""
    with pytest.raises(BundleError, match="no bundle here"):
        read_current(tmp_path)
    (tmp_path / CURRENT).write_text("manifest-000012.json\n")
    assert read_current(tmp_path) == tmp_path / "manifest-000012.json"
    with pytest.raises(BundleError, match=r"manifest-000012\.json: this file is missing"):
        read_manifest(read_current(tmp_path))


def test_files_are_found_by_path() -> None:
    """Would break: a file's checksum cannot be looked up, or that of another is given."""
    assert MANIFEST.file("CURRENT").sha256 == "ab"
    with pytest.raises(KeyError):
        MANIFEST.file("elsewhere")
