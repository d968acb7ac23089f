"""TreeOfLife-200M: every row and picture accounted for, nothing read from a broken shard."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.bundle.flags import Flag
from atlas.errors import BuildError, PictureError, PlanError
from atlas.search.pictures import read_picture
from indexer.sources import parquet_shard
from indexer.sources.tree_of_life import TreeOfLifeSource
from tests.unit.indexer.shards import (
    catalog_row,
    jpeg,
    sample,
    samples,
    source_of,
    uuid_of,
    write_catalog,
    write_image_table,
    write_provenance,
    write_tar,
)
from tests.unit.indexer.test_written import flip


def all_rows(source: TreeOfLifeSource) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """Records and rejects of all parts, and the rows that came in."""
    read = [source.read(part) for part in source.parts()]
    records = [row for part in read for row in part.records.to_pylist()]
    rejects = [row for part in read for row in part.rejects.to_pylist()]
    return records, rejects, sum(part.rows_in for part in read)


def test_pictures_of_both_kinds_of_shards_get_their_row(tmp_path: Path) -> None:
    """Would break: a picture is shown under another's name, or one kind of shard is passed over."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(9)])
    write_tar(folder / "shards/224/shard-00000.tar", samples([3, 0]))
    write_tar(folder / "shards/224/shard-00001.tar", samples([1, 2]))
    write_image_table(folder / "shards/data/one.parquet", [8, 7, 6, 5, 4], row_group_size=2)
    source = source_of(folder)
    records, rejects, rows = all_rows(source)
    assert (rejects, rows) == ([], 9)
    assert sorted(row["image_id"] for row in records) == [uuid_of(n) for n in range(9)]
    copied: TreeOfLifeSource = pickle.loads(pickle.dumps(source))  # noqa: S301 - as workers do
    for row in records:
        number = int(row["image_id"][:8], 16)
        assert source.picture(row["media_ref"]) == jpeg(number)
        assert copied.picture(row["media_ref"]) == jpeg(number)
        assert source.picture_stamp(row["media_ref"]).startswith(row["media_ref"])
        assert row["row"] == number + 1
        assert row["occurrence_id"] == f"gbif:{1000 + number}"
        assert row["reference_url"] == f"https://www.gbif.org/occurrence/{1000 + number}"
        assert row["media_url"] == f"https://example.org/{number}.jpg"
    # In the order of the shards, so that each is read once from its start to its end.
    assert [int(row["image_id"][:8], 16) for row in records] == [3, 0, 1, 2, 8, 7, 6, 5, 4]


def test_whatever_stands_on_one_side_only_is_refused_with_its_reason(tmp_path: Path) -> None:
    """Would break: rows of a shard that was not fetched, or pictures of no row, vanish unseen."""
    no_id = catalog_row(5, uuid="five")
    folder = write_catalog(tmp_path / "tol", [*(catalog_row(n) for n in range(5)), no_id])
    without = [(f"{uuid_of(2)}.sci.txt", b"a"), (f"{uuid_of(2)}.com.txt", b"b")]
    twice = [(f"{uuid_of(1)}.png", b"p")]
    write_tar(folder / "shards/0.tar", [*sample(0), *sample(1), *twice, *without, *samples([77])])
    write_image_table(folder / "shards/1.parquet", [0, 4])
    records, rejects, rows = all_rows(source_of(folder))
    assert [int(row["image_id"][:8], 16) for row in records] == [0, 1, 4]
    assert rows == len(records) + len(rejects) == 9
    told = {(row["reason"], row["detail"].partition(": ")[2]) for row in rejects}
    assert told == {
        (
            "duplicate_image_id",
            f"{uuid_of(1)}.png of 0.tar is one more picture of a UUID that has one",
        ),
        ("duplicate_image_id", "row 1 of 1.parquet is one more picture of a UUID that has one"),
        ("file_missing", "its sample in 0.tar has no picture"),
        ("no_such_record", f"{uuid_of(77)}.jpg of 0.tar is not in the catalog"),
        ("media_not_at_hand", "its picture is in none of the shards"),
        ("id_invalid", "'five' is no UUID"),
    }


@pytest.mark.parametrize(
    ("rows", "reasons"), [("catalog", "media_not_at_hand"), ("shards", "no_such_record")]
)
def test_a_plan_may_keep_to_one_side(tmp_path: Path, rows: str, reasons: str) -> None:
    """Would break: an atlas of a few shards of many is refused for all that it does not have."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(3)])
    write_tar(folder / "shards/0.tar", samples([0, 1, 9]))
    records, rejects, count = all_rows(source_of(folder, rows=rows))
    assert len(records) == 2
    assert [row["reason"] for row in rejects] == [reasons]
    assert count == 3


def test_gaps_in_the_taxonomy_invent_no_names(tmp_path: Path) -> None:
    """Would break: "arborea" becomes a species of its own, or "incertae sedis" a family."""
    rows = [
        catalog_row(0, family=None),
        catalog_row(1, genus=None, scientific_name="Hylidae", family="Hylidae"),
        catalog_row(2, family="incertae sedis", species="Hyla arborea"),
        catalog_row(
            3,
            **dict.fromkeys(("kingdom", "phylum", "class", "order", "family", "genus")),
            species=None,
            scientific_name=None,
            common=None,
            source_id=None,
        ),
    ]
    folder = write_catalog(tmp_path / "tol", rows)
    write_tar(folder / "shards/0.tar", samples([0, 1, 2, 3]))
    records, rejects, _ = all_rows(source_of(folder))
    assert not rejects
    assert [row["lineage"][4:] for row in records] == [
        ["", "Hyla", "arborea"],  # the tree of taxa writes Hyla arborea
        ["Hylidae", "", ""],
        ["", "Hyla", "Hyla arborea"],
        ["", "", ""],
    ]
    assert records[3]["flags"] & Flag.NAME_MISSING
    assert records[3]["flags"] & Flag.OCCURRENCE_ID_MADE
    assert records[3]["occurrence_id"] == f"urn:uuid:{uuid_of(3)}"


def test_licences_come_from_the_provenance(tmp_path: Path) -> None:
    """Would break: a photo is copied without a licence, or its rights holder is not named."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(4)])
    by = "https://creativecommons.org/licenses/by/4.0/"
    write_provenance(
        folder,
        [
            {
                "uuid": uuid_of(0).upper(),
                "license_name": "cc-by",
                "license_link": by,
                "copyright_owner": "Ann",
            },
            {
                "uuid": uuid_of(0),
                "license_name": "cc0",
                "license_link": None,
                "copyright_owner": "Bob",
            },
            {
                "uuid": uuid_of(1),
                "license_name": "No known copyright restrictions",
                "license_link": None,
                "copyright_owner": "not provided",
            },
            {
                "uuid": uuid_of(2),
                "license_name": "cc-by-nc-4.0",
                "license_link": None,
                "copyright_owner": "",
            },
            {
                "uuid": uuid_of(99),
                "license_name": "cc0",
                "license_link": None,
                "copyright_owner": "",
            },
        ],
    )
    write_tar(folder / "shards/0.tar", samples([0, 1, 2, 3]))
    records, rejects, rows = all_rows(source_of(folder))
    assert (rejects, rows) == ([], 4)
    assert [(row["media_licence"], row["rights_holder"]) for row in records] == [
        ("CC-BY-4.0", "Ann"),  # of two rows of one picture the first
        ("No known copyright restrictions", None),
        ("CC-BY-NC-4.0", None),
        (None, None),
    ]
    unknown = [bool(row["flags"] & Flag.MEDIA_LICENCE_UNKNOWN) for row in records]
    assert unknown == [False, True, False, True]


def test_pixels_become_pictures(tmp_path: Path) -> None:
    """Would break: shards as the downloader writes them are no images, or frogs turn blue."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(2)])
    (folder / "shards").mkdir()
    pixels = bytes([10, 20, 200]) * 6  # blue, green, red
    table = pa.table(
        {
            "uuid": [uuid_of(0), uuid_of(1)],
            "image": [pixels, jpeg(1)],
            "resized_size": [[2, 3], [20, 24]],
        }
    )
    pq.write_table(table, folder / "shards/successes.parquet")
    pq.write_table(pa.table({"uuid": [uuid_of(1)]}), folder / "shards/errors.parquet")
    source = source_of(folder)
    records, rejects, _ = all_rows(source)
    assert not rejects
    picture = read_picture(source.picture(records[0]["media_ref"]), max_pixels=100)
    assert picture.size == (3, 2)
    assert picture.getpixel((2, 1)) == (200, 20, 10)
    assert source.picture(records[1]["media_ref"]) == jpeg(1)


def test_shards_may_lie_anywhere(tmp_path: Path) -> None:
    """Would break: only folders of this machine can hold shards."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(3)])
    local = write_tar(tmp_path / "0.tar", samples([0, 1]))
    table = write_image_table(tmp_path / "1.parquet", [2])
    memory = fsspec.filesystem("memory")
    for file in (local, table):
        memory.pipe(f"/bucket/shards/{file.name}", file.read_bytes())
    source = source_of(folder, shards="memory://bucket/shards/")
    records, rejects, _ = all_rows(source)
    assert not rejects
    assert [source.picture(row["media_ref"]) for row in records] == [jpeg(n) for n in range(3)]


@pytest.mark.parametrize("cut", [700, 512, 3_000, 5_000, 6_656])
def test_a_truncated_tar_is_a_clear_stop(tmp_path: Path, cut: int) -> None:
    """Would break: the pictures behind a cut are taken for pictures that were never there."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(2)])
    path = write_tar(folder / "shards/shard-00007.tar", samples([0, 1]))
    write_tar(folder / "shards/sound.tar", samples([5]))
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    with pytest.raises(PlanError, match=r"shard-00007\.tar: .*at byte [\d,]+"):
        source_of(folder).parts()
    # The sound shard is not read again once the other one is replaced.
    index = {file: file.stat().st_mtime_ns for file in (folder / "scratch/index").glob("*.parquet")}
    assert len(index) == 1
    path.write_bytes(whole)
    records, _, _ = all_rows(source_of(folder))
    assert len(records) == 2
    assert all(file.stat().st_mtime_ns == time for file, time in index.items())


def test_a_damaged_header_in_a_tar_is_a_clear_stop(tmp_path: Path) -> None:
    """Would break: Python's tarfile ends there quietly, and so would the shard."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(2)])
    path = write_tar(folder / "shards/0.tar", samples([0, 1]))
    content = bytearray(path.read_bytes())
    at = content.index(f"{uuid_of(1)}.com.txt".encode())
    content[at : at + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(PlanError, match=rf"0\.tar: has a damaged header at byte {at:,}"):
        source_of(folder).parts()


def damaged(path: Path, where: bytes) -> None:
    """Turn bits of a page over, at a text that stands in it."""
    content = bytearray(path.read_bytes())
    at = content.index(where)
    content[at : at + len(where)] = bytes(255 - value for value in where)
    path.write_bytes(content)


def test_pictures_of_a_corrupt_page_are_refused_and_the_others_kept(tmp_path: Path) -> None:
    """Would break: one bad page costs the whole build, or a picture of noise is embedded."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(9)])
    path = write_image_table(
        folder / "shards/0.parquet", range(9), row_group_size=3, write_page_checksum=True,
        compression="none", use_dictionary=False,
    )  # fmt: skip
    damaged(path, jpeg(4)[-40:])
    source = source_of(folder)
    records, rejects, _ = all_rows(source)
    assert not rejects
    for row in records:
        if row["row"] in {4, 5, 6}:
            problem = rf"0\.parquet, row {row['row']}: row group 1 cannot be read from row 4 on"
            with pytest.raises(PictureError, match=problem) as caught:
                source.picture(row["media_ref"])
            assert caught.value.reason == "image_damaged"
        else:
            assert source.picture(row["media_ref"]) == jpeg(row["row"] - 1)


def test_a_corrupt_page_of_the_catalog_is_a_clear_stop(tmp_path: Path) -> None:
    """Would break: names of a broken catalog are put to pictures, or there is a stack trace."""
    rows = [catalog_row(n) for n in range(2)]
    folder = write_catalog(
        tmp_path / "tol", rows, write_page_checksum=True, compression="none", use_dictionary=False
    )
    write_tar(folder / "shards/0.tar", samples([0, 1]))
    # As a page writes it, after its length; statistics of the column hold the name as well.
    damaged(folder / "catalog.parquet", b"\x12\0\0\0European tree frog")
    with pytest.raises(PlanError, match=r"catalog\.parquet: cannot be read from row 1 on"):
        source_of(folder).parts()


def test_an_index_or_table_that_was_damaged_is_made_again(tmp_path: Path) -> None:
    """Would break: a picture that a disk moved in an index between two runs has another's name."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(6)])
    for number in range(2):
        write_tar(folder / f"shards/{number}.tar", samples(range(3 * number, 3 * number + 3)))
    first = source_of(folder)
    wanted, part = all_rows(first), first.parts()[0]
    index = sorted(part.file.parent.with_name("index").glob("*.parquet"))
    assert len(index) == 2
    for path in (index[0], part.file):
        content = path.read_bytes()
        other = index[1].stat().st_mtime_ns
        flip(path)
        # The joined table's name follows from its input: it is joined again where it is gone.
        if path == index[0]:
            part.file.unlink()
        assert all_rows(source_of(folder)) == wanted
        assert path.read_bytes() == content
        assert index[1].stat().st_mtime_ns == other


def test_a_shard_that_changes_stops_the_build(tmp_path: Path) -> None:
    """Would break: bytes of another picture are read where one used to lie."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(2)])
    path = write_tar(folder / "shards/0.tar", samples([0, 1]))
    source = source_of(folder)
    records, _, _ = all_rows(source)
    write_tar(path, samples([1, 0]))
    with pytest.raises(BuildError, match=r"0\.tar changed"):
        source.picture(records[0]["media_ref"])
    path.unlink()
    with pytest.raises(BuildError, match="changed"):
        source.picture(records[0]["media_ref"])


def test_what_cannot_be_used_is_said_in_words(tmp_path: Path) -> None:
    """Would break: a build of no shards, or of packed ones, ends in a stack trace or in nothing."""
    folder = write_catalog(tmp_path / "tol", [catalog_row(0)])
    (folder / "shards").mkdir()
    with pytest.raises(PlanError, match="has no shards"):
        source_of(folder).parts()
    (folder / "shards/0.tar.gz").write_bytes(b"x")
    with pytest.raises(PlanError, match="unpack it"):
        source_of(folder).parts()
    with pytest.raises(PlanError, match="no column 'nowhere'"):
        source_of(folder, columns={"common": "nowhere"}).parts()
    with pytest.raises(PlanError, match="'shade', which the atlas never reads"):
        source_of(folder, columns={"shade": "common"}).parts()
    without = source_of(folder, with_pictures=False)
    records, rejects, _ = all_rows(without)
    assert (len(records), rejects) == (1, [])
    assert records[0]["media_ref"] is None


def test_large_shards_are_read_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: threads that ask out of turn get another row's picture, or none."""
    monkeypatch.setattr(parquet_shard, "_KEPT_BYTES", 20 * len(jpeg(0)))
    count = 400
    folder = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(count)])
    write_image_table(folder / "shards/0.parquet", range(count))
    source = source_of(folder)
    records, _, _ = all_rows(source)
    order = [*range(0, count, 7), 399, 0, 200, 3]
    for at in order:
        assert source.picture(records[at]["media_ref"]) == jpeg(at)
    assert Counter(row["image_id"] for row in records).most_common(1)[0][1] == 1
