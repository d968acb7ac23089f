"""One segment on disk: vectors, index, pictures, removed rows; damage is named by its file."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

from atlas.bundle.manifest import SegmentEntry
from atlas.bundle.segment import (
    HOSTED_MEDIA_TYPE,
    PICTURE_OFFSETS,
    PICTURES,
    TOMBSTONES,
    Segment,
    index_name,
    list_numbers_name,
    vectors_name,
)
from atlas.errors import BundleError
from atlas.search.index import encode_segment, train, write_index
from tests.bundle_factory import random_vectors

SPACE = "small"
ROWS, DIM = 300, 8
VECTORS = random_vectors(ROWS, DIM, 3)


def write_pictures(folder: Path, pictures: list[bytes]) -> None:
    """Lay pictures out as the format says, by hand."""
    (folder / PICTURES).write_bytes(b"".join(pictures))
    offsets = np.cumsum([0, *(len(picture) for picture in pictures)]).astype("<i8")
    (folder / PICTURE_OFFSETS).write_bytes(offsets.tobytes())


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a segment with an index, pictures, and two rows removed. Never write to it."""
    folder = tmp_path_factory.mktemp("segment")
    (folder / vectors_name(SPACE)).write_bytes(VECTORS.astype("<f2").tobytes())
    (folder / TOMBSTONES).write_bytes(BitMap([4, 299]).serialize())
    index, list_numbers = encode_segment(train(VECTORS, "IVF4,Flat"), VECTORS)
    write_index(index, folder / index_name(SPACE))
    (folder / list_numbers_name(SPACE)).write_bytes(list_numbers.astype("<i4").tobytes())
    write_pictures(folder, [b"first", b"", *[b"x"] * (ROWS - 3), b"last"])
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(original, tmp_path / "0007"))


def opened(folder: Path, rows: int = ROWS, *, pictures: bool = True, dim: int = DIM) -> Segment:
    """The segment in `folder`, whose rows begin at 1000."""
    entry = SegmentEntry(name="0007", first_row=1000, rows=rows, hosts_pictures=pictures)
    return Segment(folder, entry, {SPACE: dim})


def test_a_segment_holds_what_its_files_hold(folder: Path) -> None:
    """Would break: a row is given another row's vector, list or picture."""
    segment = opened(folder)
    assert (segment.name, segment.first_row, segment.rows) == ("0007", 1000, ROWS)
    assert np.array_equal(segment.vectors(SPACE), VECTORS)
    index = segment.index(SPACE)
    assert index is not None
    assert index.ntotal == ROWS
    assert segment.list_numbers(SPACE).shape == (ROWS,)
    assert segment.picture(0) == (b"first", HOSTED_MEDIA_TYPE)
    assert segment.picture(1) is None
    assert segment.picture(ROWS - 1) == (b"last", HOSTED_MEDIA_TYPE)


def test_removed_rows_are_read(folder: Path) -> None:
    """Would break: a photo that was taken down on request is shown again."""
    assert opened(folder).tombstones == BitMap([4, 299])


def test_vectors_cannot_be_written(folder: Path) -> None:
    """Would break: a stray assignment in the server changes the bundle on disk."""
    with pytest.raises(ValueError, match="read-only"):
        opened(folder).vectors(SPACE)[0, 0] = 1


def test_without_an_index_there_are_no_lists(folder: Path) -> None:
    """Would break: a small atlas, which is searched exactly, does not open."""
    (folder / index_name(SPACE)).unlink()
    (folder / list_numbers_name(SPACE)).unlink()
    segment = opened(folder)
    assert segment.index(SPACE) is None
    assert segment.list_numbers(SPACE).shape == (0,)


def test_without_pictures_none_are_looked_for(folder: Path) -> None:
    """Would break: a bundle that hosts nothing needs empty picture files."""
    (folder / PICTURES).unlink()
    (folder / PICTURE_OFFSETS).unlink()
    assert opened(folder, pictures=False).picture(0) is None


def test_a_segment_whose_licences_allow_no_picture_opens(folder: Path) -> None:
    """Would break: one segment without a picture that may be copied closes the whole atlas."""
    write_pictures(folder, [b""] * ROWS)
    segment = opened(folder)
    assert segment.picture(0) is None
    assert segment.picture(ROWS - 1) is None


@pytest.mark.parametrize("name", [vectors_name(SPACE), TOMBSTONES, PICTURES, PICTURE_OFFSETS])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    """Would break: the operator has to guess which of many files is gone."""
    (folder / name).unlink()
    with pytest.raises(BundleError, match="missing") as caught:
        opened(folder)
    assert caught.value.path == folder / name


@pytest.mark.parametrize("name", [vectors_name(SPACE), PICTURES, PICTURE_OFFSETS])
@pytest.mark.parametrize("change", ["shorter", "longer", "empty"])
def test_a_file_of_the_wrong_size_is_named(folder: Path, name: str, change: str) -> None:
    """Would break: rows behind a cut get no vector, or the vector of another row."""
    path = folder / name
    content = path.read_bytes()
    path.write_bytes({"shorter": content[:-2], "longer": content + b"xx", "empty": b""}[change])
    with pytest.raises(BundleError) as caught:
        opened(folder)
    assert caught.value.path == path


@pytest.mark.parametrize("content", [b"", b"no bitmap", BitMap([4, 299]).serialize()[:-1]])
def test_a_damaged_set_of_removed_rows_is_named(folder: Path, content: bytes) -> None:
    """Would break: rows that were removed come back because their list cannot be read."""
    (folder / TOMBSTONES).write_bytes(content)
    with pytest.raises(BundleError, match="cannot be read") as caught:
        opened(folder)
    assert caught.value.path == folder / TOMBSTONES


def test_a_missing_list_file_is_named(folder: Path) -> None:
    """Would break: probing by list reads lists of another segment, or fails without a name."""
    (folder / list_numbers_name(SPACE)).unlink()
    with pytest.raises(BundleError, match="missing"):
        opened(folder).list_numbers(SPACE)
    (folder / list_numbers_name(SPACE)).write_bytes(bytes(4 * ROWS - 4))
    with pytest.raises(BundleError, match=f"holds {4 * ROWS - 4} bytes"):
        opened(folder).list_numbers(SPACE)


def test_an_index_of_other_rows_is_refused(folder: Path) -> None:
    """Would break: the index of an earlier build gives positions that mean other rows."""
    fewer = VECTORS[:-1]
    index, _ = encode_segment(train(VECTORS, "IVF4,Flat"), fewer)
    write_index(index, folder / index_name(SPACE))
    with pytest.raises(BundleError, match=f"holds {ROWS - 1} vectors where {ROWS} belong"):
        opened(folder)
    (folder / index_name(SPACE)).write_bytes(b"this is no index")
    with pytest.raises(BundleError, match="cannot be read"):
        opened(folder)


def test_a_dimension_that_does_not_fit_is_refused(folder: Path) -> None:
    """Would break: vectors of one space are cut at the length of another."""
    with pytest.raises(BundleError, match=f"where {ROWS * (DIM + 1) * 2} belong"):
        opened(folder, dim=DIM + 1)
