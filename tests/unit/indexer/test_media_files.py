"""Photos by path and by address: what may be read, and what may not."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from atlas.errors import PictureError
from indexer.records import RejectReason
from indexer.sources.media_files import MediaFiles


@pytest.fixture
def files(tmp_path: Path) -> MediaFiles:
    """A folder with one photo, a mirror on disk and one in an object store."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"here")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with fsspec.open("memory://photos/1/large.jpg", "wb") as file:
        file.write(b"stored")
    mirrors = {
        "https://example.org/": "memory://photos/",
        "https://example.org/disk/": f"file://{tmp_path / 'in'}/",
    }
    return MediaFiles(tmp_path / "in", mirrors, max_file_bytes=10)


@pytest.mark.parametrize(
    ("media_ref", "content"),
    [
        ("a.jpg", b"here"),
        ("https://example.org/1/large.jpg", b"stored"),
        ("https://example.org/disk/a.jpg", b"here"),
    ],
)
def test_photos_are_read_from_where_the_plan_says(
    files: MediaFiles, media_ref: str, content: bytes
) -> None:
    """Would break: a mirror is not looked into, or the shorter of two is."""
    assert files.problem(media_ref) is None
    assert files.read(media_ref) == content
    assert files.stamp(media_ref)


@pytest.mark.parametrize(
    ("media_ref", "reason"),
    [
        ("", RejectReason.NO_FILE_NAMED),
        ("/etc/hostname", RejectReason.PATH_OUTSIDE_FOLDER),
        ("../secret.jpg", RejectReason.PATH_OUTSIDE_FOLDER),
        ("link.jpg", RejectReason.PATH_OUTSIDE_FOLDER),
        ("https://example.org/disk/../secret.jpg", RejectReason.PATH_OUTSIDE_FOLDER),
        ("https://example.org/x::file:///etc/hostname", RejectReason.PATH_OUTSIDE_FOLDER),
        ("https://example.org/disk//etc/hostname", RejectReason.PATH_OUTSIDE_FOLDER),
        ("file:///etc/hostname", RejectReason.MEDIA_NOT_AT_HAND),
        ("https://elsewhere.org/a.jpg", RejectReason.MEDIA_NOT_AT_HAND),
        ("s3://bucket/a.jpg", RejectReason.MEDIA_NOT_AT_HAND),
        ("none.jpg", RejectReason.FILE_MISSING),
        ("https://example.org/none.jpg", RejectReason.FILE_MISSING),
    ],
)
def test_nothing_else_is_read(files: MediaFiles, media_ref: str, reason: RejectReason) -> None:
    """Would break: an archive of strangers has the builder publish a file of its machine."""
    with pytest.raises(PictureError) as caught:
        files.read(media_ref)
    assert caught.value.reason == reason


def test_a_file_too_large_is_refused(files: MediaFiles, tmp_path: Path) -> None:
    """Would break: one huge file takes the memory of a build."""
    (tmp_path / "in" / "b.jpg").write_bytes(b"x" * 11)
    with pytest.raises(PictureError) as caught:
        files.read("b.jpg")
    assert caught.value.reason == RejectReason.IMAGE_TOO_LARGE
