"""What holds for every source: the same checks run over each implementation."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.errors import BuildError, PictureError
from indexer.plan_sections import (
    EmbeddingsSection,
    FolderSection,
    InatOpenDataSection,
    RecordsSection,
    TreeOfLifeSection,
    UrlsSection,
)
from indexer.records import RECORD_SCHEMA, REJECT_SCHEMA, RejectReason
from indexer.sources import Source
from indexer.sources.embeddings import EmbeddingsSource
from indexer.sources.folder import FolderSource
from indexer.sources.inat_open_data import InatOpenDataSource
from indexer.sources.record_tables import RecordTable
from indexer.sources.tree_of_life import TreeOfLifeSource
from indexer.sources.url_list import UrlSource
from tests.unit.indexer.archives import frogs, photo, source_of, write_archive
from tests.unit.indexer.shards import catalog_row, samples, write_catalog, write_tar

RANKS = ("kingdom", "genus", "species")
ROWS = 11


def rows() -> list[dict[str, str]]:
    """Eleven rows, two of which are refused."""
    made = [
        {
            "file": f"{number}.png",
            "occurrenceID": f"o-{number}",
            "kingdom": "Animalia",
            "scientificName": "Hyla arborea",
            "decimalLatitude": f"{number}.5",
            "decimalLongitude": "4.25",
        }
        for number in range(ROWS)
    ]
    made[4]["file"] = ""
    made[9]["file"] = "../up.png"
    return made


def folder_of(records: Path) -> FolderSource:
    """A folder source of a table."""
    photos = records.parent / "photos"
    photos.mkdir(exist_ok=True)
    section = FolderSection(key="s", title="S", path=photos, records=records)
    return FolderSource(section, ranks=RANKS, resolution=7, part_rows=4, max_file_bytes=1_000_000)


def text_folder(folder: Path) -> Source:
    """A folder with a CSV table."""
    made = rows()
    lines = [",".join(made[0]), *(",".join(row.values()) for row in made)]
    (folder / "records.csv").write_text("\n".join(lines))
    return folder_of(folder / "records.csv")


def parquet_folder(folder: Path) -> Source:
    """A folder with a Parquet table of several row groups."""
    pq.write_table(pa.Table.from_pylist(rows()), folder / "records.parquet", row_group_size=3)
    return folder_of(folder / "records.parquet")


def ready_vectors(folder: Path) -> Source:
    """Two files of ready vectors."""
    table = pa.table(
        {
            "uuid": [f"{number:08x}-0000-4000-8000-000000000000" for number in range(ROWS)],
            "emb": [[0.0, 0.0] if number in {4, 9} else [1.0, number] for number in range(ROWS)],
            "kingdom": ["Animalia"] * ROWS,
        }
    )
    pq.write_table(table.slice(0, 6), folder / "1.parquet", row_group_size=2)
    pq.write_table(table.slice(6), folder / "2.parquet")
    section = EmbeddingsSection(key="s", title="S", path=folder / "*.parquet", space="tiny")
    return EmbeddingsSource(section, ranks=RANKS, dim=None, resolution=7)


def without_files() -> list[str]:
    """The eleven rows as CSV lines without the files; two are ragged."""
    made = rows()
    lines = [list(made[0])[1:], *(list(row.values())[1:] for row in made)]
    return [",".join(cells[:-1] if at in {5, 10} else cells) for at, cells in enumerate(lines)]


def table_of(path: Path) -> RecordTable:
    """A source of records without pictures."""
    section = RecordsSection(key="s", title="S", path=path)
    return RecordTable(section, ranks=RANKS, resolution=7, part_rows=4)


def plain_table(folder: Path) -> Source:
    """A CSV table of records."""
    (folder / "records.csv").write_text("\n".join(without_files()))
    return table_of(folder / "records.csv")


def quoted_table(folder: Path) -> Source:
    """The same with every field in quotes, which another reader reads."""
    lines = ['"' + line.replace(",", '","') + '"' for line in without_files()]
    (folder / "records.csv").write_text("\n".join(lines))
    return table_of(folder / "records.csv")


def archive(folder: Path) -> Source:
    """A Darwin Core Archive with a photo of each occurrence; two are ragged."""
    occurrences = [frog[:-1] if at in {5, 10} else frog for at, frog in enumerate(frogs(ROWS))]
    media = [photo(at, f"{at}.jpg") for at in range(ROWS) if at not in {5, 10}]
    return source_of(write_archive(folder / "archive", occurrences, media))


def open_data(folder: Path) -> Source:
    """Tables of iNaturalist Open Data with eleven photos, two of them of no observation."""
    stray = {5, 10}
    tables = {
        "taxa": "taxon_id\tancestry\trank\tname\n7\t\tkingdom\tAnimalia\n",
        "observers": "observer_id\tlogin\tname\n3\tann\tAnn\n",
        "observations": "observation_uuid\tobserver_id\tlatitude\tlongitude\tpositional_accuracy\t"
        "taxon_id\tquality_grade\tobserved_on\n"
        + "".join(
            f"u{at}\t3\t{at}.5\t4.25\t\t7\tcasual\t\n" for at in range(ROWS) if at not in stray
        ),
        "photos": "photo_id\textension\tobservation_uuid\tobserver_id\tlicense\n"
        + "".join(f"{at + 1}\tjpg\tu{at}\t3\tCC0\n" for at in range(ROWS)),
    }
    for name, content in tables.items():
        (folder / f"{name}.csv").write_text(content)
    section = InatOpenDataSection(key="s", title="S", path=folder)
    return InatOpenDataSource(
        section,
        ranks=RANKS,
        resolution=7,
        part_rows=4,
        with_pictures=True,
        max_file_bytes=1_000_000,
        scratch=folder / "scratch",
    )


def catalog_with_shards(folder: Path) -> Source:
    """A catalog whose pictures lie in a tar; one row has no picture, one picture no row."""
    write_catalog(folder, [catalog_row(number) for number in range(10)])
    write_tar(folder / "shards" / "0.tar", samples([*range(9), 77]))
    return TreeOfLifeSource(
        TreeOfLifeSection(key="s", title="S", path=folder),
        ranks=RANKS,
        resolution=7,
        part_rows=4,
        with_pictures=True,
        max_file_bytes=1_000_000,
        scratch=folder / "scratch",
    )


def addresses(folder: Path) -> Source:
    """A table of addresses, two of them of no host."""
    lines = [
        f"o-{number},http{'' if number in {4, 9} else '://example.org'}/{number}.jpg"
        for number in range(ROWS)
    ]
    (folder / "records.csv").write_text("\n".join(["occurrenceID,mediaURL", *lines]))
    section = UrlsSection(
        key="s", title="S", path=folder / "records.csv", contact="ann@example.org"
    )
    return UrlSource(
        section,
        ranks=RANKS,
        resolution=7,
        part_rows=4,
        with_pictures=True,
        max_file_bytes=1_000_000,
        scratch=folder / "scratch",
    )


SOURCES = (
    text_folder,
    parquet_folder,
    ready_vectors,
    plain_table,
    quoted_table,
    archive,
    open_data,
    catalog_with_shards,
    addresses,
)


@pytest.fixture(params=SOURCES, ids=lambda make: make.__name__)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """Each source in turn, of eleven rows with two rejects."""
    make: Callable[[Path], Source] = request.param
    return make(tmp_path)


def test_parts_are_always_the_same_and_cover_all_rows(source: Source) -> None:
    """Would break: a resumed build takes another part for one that is finished."""
    parts = source.parts()
    assert source.parts() == parts
    assert len(parts) > 1
    assert sum(part.rows for part in parts) == ROWS
    assert [part.number for part in parts] == list(range(len(parts)))
    names = [part.name for part in parts]
    assert names == sorted(set(names))
    assert all(part.source_key == source.settings.key for part in parts)


def test_every_row_is_a_record_or_a_reject(source: Source) -> None:
    """Would break: a source drops rows, or does not say where the refused ones stand."""
    reasons = set(RejectReason)
    rejected = 0
    for part in source.parts():
        read = source.read(part)
        assert read.rows_in == part.rows == read.records.num_rows + read.rejects.num_rows
        rejected += read.rejects.num_rows
        for reject in read.rejects.to_pylist():
            assert reject["reason"] in reasons
            assert reject["part"] == part.name
            assert reject["stage"] == "read"
            assert str(reject["row"]) in reject["detail"]
    assert rejected == 2


def test_records_have_the_schema(source: Source) -> None:
    """Would break: a later stage fails on one kind of source only."""
    for part in source.parts():
        read = source.read(part)
        assert read.records.select(RECORD_SCHEMA.names).schema.equals(RECORD_SCHEMA)
        assert read.rejects.schema.equals(REJECT_SCHEMA)
        read.records.validate(full=True)
        for name in RECORD_SCHEMA.names:
            if not RECORD_SCHEMA.field(name).nullable:
                assert read.records[name].null_count == 0
        assert all(len(names) == len(RANKS) for names in read.records["lineage"].to_pylist())


def test_reading_again_gives_the_same(source: Source) -> None:
    """Would break: a part that is done twice differs, in this process or in another."""
    copied: Source = pickle.loads(pickle.dumps(source))  # noqa: S301 - as worker processes do
    for part in reversed(source.parts()):
        read, again = source.read(part), copied.read(part)
        assert read.records.equals(again.records)
        assert read.rejects.equals(again.rejects)


def test_image_ids_and_rows_are_unique(source: Source) -> None:
    """Would break: two images share an id, or a reject points to the wrong row."""
    tables = [source.read(part).records for part in source.parts()]
    ids = [image_id for table in tables for image_id in table["image_id"].to_pylist()]
    assert len(set(ids)) == len(ids) == ROWS - 2


def test_a_changed_file_is_noticed(source: Source) -> None:
    """Would break: a build mixes two versions of its input."""
    part = source.parts()[0]
    # What tables are joined into is the source's own, in a folder of its own below them.
    names = ("photos.csv", "catalog.parquet")
    near = (above / name for above in part.file.parents[:4] for name in names)
    with next((table for table in near if table.is_file()), part.file).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(BuildError, match="changed"):
        source.read(part)


def test_a_missing_picture_is_a_picture_error(source: Source) -> None:
    """Would break: one missing file stops the build."""
    with pytest.raises(PictureError) as caught:
        source.picture("nowhere.png")
    assert caught.value.reason == RejectReason.FILE_MISSING
    assert source.picture_stamp("nowhere.png") == ""
