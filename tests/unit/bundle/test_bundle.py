"""Opening a bundle: only one that is whole and fits together is opened; faults name their file."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from atlas.bundle.bundle import CURVE_FILE, SPACE_FILE, Bundle, check_files
from atlas.bundle.manifest import (
    CURRENT,
    FileEntry,
    Manifest,
    SegmentEntry,
    SpaceDescription,
    encode_json,
)
from atlas.bundle.publish import describe_file, publish
from atlas.errors import BundleError
from tests.bundle_factory import SPACE, random_vectors, write_bundle
from tests.catalog_factory import ImageCase

SIZES = (5, 1, 7)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of three segments with two rows removed. Never write to it."""
    vectors = [random_vectors(rows, 4, rows) for rows in SIZES]
    # A file of no bytes could not be damaged: every row has a place.
    images = [ImageCase(latitude=51.5, longitude=-0.1, uncertainty_m=30.0)] * sum(SIZES)
    root = tmp_path_factory.mktemp("bundle")
    return write_bundle(root, vectors, images=images, removed=(2, 12)).root


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Bundle:
    """A copy that a test may damage."""
    return Bundle.open(Path(shutil.copytree(original, tmp_path / "bundle")))


def republished(bundle: Bundle, **changes: object) -> None:
    """Make a changed manifest live."""
    publish(bundle.root, msgspec.structs.replace(bundle.manifest, **changes))


def listed(bundle: Bundle) -> list[Path]:
    """Every file that the manifest names."""
    return [bundle.root / entry.path for entry in bundle.manifest.files]


def test_rows_follow_each_other_through_the_segments(bundle: Bundle) -> None:
    """Would break: row ids of two segments mean the same row, or none."""
    assert [segment.first_row for segment in bundle.segments] == [0, 5, 6]
    assert [segment.rows for segment in bundle.segments] == list(SIZES)
    for rows, segment in zip(SIZES, bundle.segments, strict=True):
        assert np.array_equal(segment.vectors(SPACE), random_vectors(rows, 4, rows))
    assert [list(segment.tombstones) for segment in bundle.segments] == [[2], [], [6]]


def test_places_of_files(bundle: Bundle) -> None:
    """Would break: the server looks for the index or the catalog elsewhere."""
    assert bundle.catalog_path.is_file()
    assert bundle.curve_path(SPACE) == bundle.root / "spaces" / SPACE / CURVE_FILE
    assert bundle.picture(12) is None
    for row in (-1, sum(SIZES)):
        with pytest.raises(IndexError):
            bundle.picture(row)


def test_every_missing_file_is_named(bundle: Bundle) -> None:
    """Would break: a file that nothing reads at the start is missed when it is asked for."""
    for path in listed(bundle):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(BundleError, match="this file is missing") as caught:
            Bundle.open(bundle.root, "sizes")
        assert caught.value.path == path
        path.write_bytes(content)
    Bundle.open(bundle.root, "full")


def test_every_damaged_file_is_named(bundle: Bundle) -> None:
    """Would break: a turned bit gives wrong distances or wrong records, and nobody knows."""
    for path in listed(bundle):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BundleError, match="checksum") as caught:
            Bundle.open(bundle.root)
        assert caught.value.path == path
        path.write_bytes(content)
    Bundle.open(bundle.root)


@pytest.mark.parametrize("verification", ["sizes", "full"])
def test_a_file_of_another_size_is_named(bundle: Bundle, verification: str) -> None:
    """Would break: a copy that stopped half-way is served."""
    for path in listed(bundle):
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(BundleError, match=f"holds {len(content) - 1} bytes") as caught:
            Bundle.open(bundle.root, verification)  # type: ignore[arg-type]
        assert caught.value.path == path
        path.write_bytes(content)


def test_a_file_that_may_not_be_read_is_named(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a bundle copied with the wrong owner ends in a traceback."""
    path = listed(bundle)[0]

    def refuse(_path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("atlas.bundle.bundle.sha256_of", refuse)
        with pytest.raises(BundleError, match="Permission denied") as caught:
            Bundle.open(bundle.root)
    assert caught.value.path == path
    # A file where a folder belongs is another way not to be readable.
    entry = FileEntry(path=f"{CURRENT}/below", size_bytes=1, sha256="")
    (problem,) = check_files(bundle.root, [entry], "sizes")
    assert problem.path == bundle.root / CURRENT / "below"


def test_all_problems_are_found_in_order(bundle: Bundle) -> None:
    """Would break: `indexer verify` stops at the first fault, and repair takes many rounds."""
    missing, damaged = listed(bundle)[1], listed(bundle)[3]
    missing.unlink()
    damaged.write_bytes(b"")
    seen: list[FileEntry] = []
    problems = check_files(bundle.root, bundle.manifest.files, "full", seen.append)
    assert [problem.path for problem in problems] == [missing, damaged]
    assert tuple(seen) == bundle.manifest.files


def test_current_that_leads_nowhere_is_refused(bundle: Bundle) -> None:
    """Would break: the server starts without a bundle, or with an older one."""
    (bundle.root / CURRENT).write_text("manifest-000099.json\n")
    with pytest.raises(BundleError, match="missing") as caught:
        Bundle.open(bundle.root)
    assert caught.value.path == bundle.root / "manifest-000099.json"
    (bundle.root / CURRENT).unlink()
    with pytest.raises(BundleError, match="no bundle here") as caught:
        Bundle.open(bundle.root)
    assert caught.value.path == bundle.root / CURRENT


def moved(manifest: Manifest, number: int, by: int) -> tuple[SegmentEntry, ...]:
    """The segments, one of them beginning `by` rows later."""
    return tuple(
        msgspec.structs.replace(entry, first_row=entry.first_row + by * (i == number))
        for i, entry in enumerate(manifest.segments)
    )


@pytest.mark.parametrize(("number", "by"), [(0, 1), (1, 1), (1, -1), (2, 3)])
def test_segments_with_a_hole_or_an_overlap_are_refused(
    bundle: Bundle, number: int, by: int
) -> None:
    """Would break: hits of one segment are shown with the records of another."""
    republished(bundle, segments=moved(bundle.manifest, number, by))
    with pytest.raises(BundleError, match=rf"segment 000{number} starts at") as caught:
        Bundle.open(bundle.root)
    assert caught.value.path == bundle.root / "manifest-000001.json"


@pytest.mark.parametrize("by", [-1, 1])
def test_a_wrong_count_of_rows_is_refused(bundle: Bundle, by: int) -> None:
    """Would break: the last rows have no segment, or the last segment has no rows."""
    republished(bundle, rows=bundle.manifest.rows + by)
    with pytest.raises(BundleError, match=f"counts {bundle.manifest.rows + by} rows"):
        Bundle.open(bundle.root)


def test_segments_in_another_order_are_refused(bundle: Bundle) -> None:
    """Would break: a binary search over first rows finds the wrong segment."""
    republished(bundle, segments=bundle.manifest.segments[::-1])
    with pytest.raises(BundleError, match="starts at"):
        Bundle.open(bundle.root)


def test_the_description_of_another_space_is_refused(bundle: Bundle) -> None:
    """Would break: text goes through the encoder of one space and is compared in another."""
    path = bundle.root / "spaces" / SPACE / SPACE_FILE
    path.write_bytes(encode_json(SpaceDescription(name="other", encoder="", dim=4)))
    files = tuple(describe_file(bundle.root, file) for file in listed(bundle))
    republished(bundle, files=files)
    with pytest.raises(BundleError, match="describes space 'other', not 'small'") as caught:
        Bundle.open(bundle.root)
    assert caught.value.path == path
