"""Ready vectors with taxonomy."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.bundle.flags import Flag
from atlas.errors import PictureError, PlanError
from indexer.darwin_core import Defaults, record_of, with_cells
from indexer.plan_sections import EmbeddingsSection
from indexer.records import RECORD_SCHEMA, records_table
from indexer.sources.embeddings import _LEAST_PART_ROWS, _MOST_PART_ROWS, EmbeddingsSource
from indexer.sources.parquet_table import runs_of_row_groups
from tests.unit.indexer.tables import RANKS, sole

IDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(20)]


def source_of(
    path: Path,
    *,
    ranks: tuple[str, ...] = RANKS,
    dim: int | None = None,
    columns: dict[str, str] | None = None,
    media_licence: str = "CC0",
) -> EmbeddingsSource:
    """A source of the files at `path`."""
    section = EmbeddingsSection(
        key="ready",
        title="Ready",
        path=path,
        space="tiny",
        media_licence=media_licence,
        columns=columns or {},
    )
    return EmbeddingsSource(section, ranks=ranks, dim=dim, resolution=7)


def write(
    path: Path, vectors: list[list[float | None] | None], **columns: list[str | None]
) -> None:
    """A file of vectors with ids and more columns."""
    count = len(vectors)
    table = {"uuid": IDS[:count], "emb": pa.array(vectors, pa.list_(pa.float32())), **columns}
    pq.write_table(pa.table(table), path)


def test_each_bad_vector_and_id_is_refused_with_its_reason(tmp_path: Path) -> None:
    """Would break: a broken vector enters the index, or a row vanishes."""
    path = tmp_path / "v.parquet"
    nan, inf = float("nan"), float("inf")
    good: list[float | None] = [3.0, 4.0]
    write(
        path,
        [good, [1.0], None, [1.0, None], [nan, 1.0], [0.0, -0.0], [inf, 1.0], good, good, []],
        uuid=[*IDS[:7], "not-an-id", None, IDS[9]],
        source_id=["a", "b", *[None] * 8],
    )
    read = source_of(path).read(sole(source_of(path).parts()))
    assert read.rows_in == 10
    assert read.records["image_id"].to_pylist() == [IDS[0]]
    assert read.records["occurrence_id"].to_pylist() == ["a"]
    rejects = read.rejects.to_pylist()
    assert {reject["row"]: reject["reason"] for reject in rejects} == {
        2: "vector_wrong_length",
        3: "vector_wrong_length",
        4: "vector_not_finite",
        5: "vector_not_finite",
        6: "vector_zero",
        7: "vector_not_finite",
        8: "id_invalid",
        9: "id_invalid",
        10: "vector_wrong_length",
    }
    assert rejects[0]["occurrence_id"] == "b"
    assert rejects[0]["detail"] == "v.parquet, row 2: the vector has 1 numbers, not 2"


def test_vectors_become_unit_vectors_in_order(tmp_path: Path) -> None:
    """Would break: scores are no cosines, or a row gets its neighbour's vector."""
    path = tmp_path / "v.parquet"
    write(path, [[3.0, 4.0], [0.0, 0.0], [-1e30, 0.0], [1e-30, 1e-30]])
    read = source_of(path).read(sole(source_of(path).parts()))
    records, vectors = read.records, read.vectors["tiny"]
    assert records.schema.equals(RECORD_SCHEMA)
    assert vectors.dtype == np.float16
    np.testing.assert_allclose(
        vectors, np.array([[0.6, 0.8], [-1, 0], [0.5**0.5, 0.5**0.5]]), atol=5e-4
    )
    assert records["image_id"].to_pylist() == [IDS[0], IDS[2], IDS[3]]
    assert records["row"].to_pylist() == [1, 3, 4]


def test_ids_are_kept_in_their_usual_form(tmp_path: Path) -> None:
    """Would break: rows with ids in upper case or without hyphens are refused."""
    path = tmp_path / "v.parquet"
    plain = "07b5ad99c13e481598e5261af31bd36d"
    write(path, [[1.0], [1.0]], uuid=[plain, "B0A5699D-79F7-4FF7-804F-5A5170A99055"])
    records = source_of(path).read(sole(source_of(path).parts())).records
    assert records["image_id"].to_pylist() == [
        "07b5ad99-c13e-4815-98e5-261af31bd36d",
        "b0a5699d-79f7-4ff7-804f-5a5170a99055",
    ]


def test_missing_names_stay_empty_ranks(tmp_path: Path) -> None:
    """Would break: taxa called `None` or `incertae sedis` grow in the tree."""
    path = tmp_path / "v.parquet"
    write(
        path,
        [[1.0]] * 4,
        kingdom=["Animalia", None, "incertae sedis", "nan"],
        species=["Hyla  arborea ", None, None, "None"],
        scientific_name=[None, None, "incertae sedis", "null"],
        source_id=["a", None, "c", "d"],
    )
    records = source_of(path).read(sole(source_of(path).parts())).records
    assert records["lineage"].to_pylist() == [["Animalia", "", "Hyla arborea"], *[["", "", ""]] * 3]
    named, nameless = 0, int(Flag.NAME_MISSING)
    assert records["flags"].to_pylist() == [
        named,
        nameless | Flag.OCCURRENCE_ID_MADE,
        nameless,
        nameless,
    ]
    assert records["occurrence_id"].to_pylist()[1] == f"urn:uuid:{IDS[1]}"


def test_columns_can_be_mapped(tmp_path: Path) -> None:
    """Would break: licences and credits of other publications are left behind."""
    path = tmp_path / "v.parquet"
    write(path, [[1.0]], lic=["CC BY 4.0"], holder=["Ada"], url=["https://example.org/1.jpg"])
    columns = {"media_licence": "lic", "rights_holder": "holder", "media_url": "url"}
    source = source_of(path, columns=columns, media_licence="")
    record = source.read(sole(source.parts())).records.to_pylist()[0]
    assert record["media_licence"] == "CC-BY-4.0"
    assert record["rights_holder"] == "Ada"
    assert record["media_url"] == "https://example.org/1.jpg"
    assert record["flags"] == Flag.OCCURRENCE_ID_MADE | Flag.NAME_MISSING
    with pytest.raises(PlanError, match="'nothing'"):
        source_of(path, columns={"media_url": "nothing"}).parts()
    with pytest.raises(PlanError, match="never reads"):
        source_of(path, columns={"mediaUrl": "url"}).parts()


def test_the_dimension_is_that_of_most_vectors(tmp_path: Path) -> None:
    """Would break: one short vector at the start of a file has all others refused."""
    path = tmp_path / "v.parquet"
    write(path, [[1.0], [1.0, 2.0], None, [1.0, 2.0]])
    assert source_of(path).dim == 2
    assert source_of(path, dim=1).dim == 1
    fixed = pa.array([[1.0, 2.0, 3.0]], pa.list_(pa.float16(), 3))
    pq.write_table(pa.table({"uuid": IDS[:1], "emb": fixed}), path)
    source = source_of(path)
    assert source.dim == 3
    assert source.read(sole(source.parts())).records.num_rows == 1


@pytest.mark.parametrize(
    "table",
    [
        {"id": ["x"], "emb": [[1.0]]},
        {"uuid": ["x"], "vector": [[1.0]]},
        {"uuid": ["x"], "emb": ["text"]},
        {"uuid": ["x"], "emb": [["text"]]},
    ],
)
def test_unusable_files_are_refused_whole(tmp_path: Path, table: dict[str, list[object]]) -> None:
    """Would break: a wrong file is found out only in the middle of a build."""
    pq.write_table(pa.table(table), tmp_path / "v.parquet")
    with pytest.raises(PlanError, match="column"):
        source_of(tmp_path / "v.parquet").parts()


def test_missing_files_are_named_and_there_are_no_pictures(tmp_path: Path) -> None:
    """Would break: a wrong pattern builds an empty atlas."""
    source = source_of(tmp_path / "*.parquet")
    with pytest.raises(PlanError, match="no such"):
        source.parts()
    with pytest.raises(PictureError):
        source.picture("x")
    assert source.picture_stamp("x") == ""


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Would break: the same files give other parts on another machine."""
    for name in ("b", "a"):
        write(tmp_path / f"{name}.parquet", [[1.0]] * 2)
    parts = source_of(tmp_path / "*.parquet").parts()
    assert [(part.name, part.file.name, part.rows) for part in parts] == [
        ("ready-000000", "a.parquet", 2),
        ("ready-000001", "b.parquet", 2),
    ]


@given(st.lists(st.integers(0, 200_000), max_size=12))
def test_parts_cover_all_row_groups_once(sizes: list[int]) -> None:
    """Would break: rows between two parts are read twice or never."""
    runs = list(runs_of_row_groups(sizes, least=_LEAST_PART_ROWS, most=_MOST_PART_ROWS))
    at = 0
    for first_row, rows in runs:
        assert first_row == at
        assert 0 < rows <= 65_536
        at += rows
    assert at == sum(sizes)


def test_the_published_file_is_read_whole(shared_data: Path) -> None:
    """Would break: real BioCLIP 2 embeddings lose rows (121 of them have ids without hyphens)."""
    ranks = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
    source = source_of(shared_data / "bioclip2-embeddings-1k/example_1k.parquet", ranks=ranks)
    assert source.dim == 768
    read = source.read(sole(source.parts()))
    assert (read.rows_in, read.records.num_rows, read.rejects.num_rows) == (1030, 1030, 0)
    vectors = read.vectors["tiny"]
    norms = np.linalg.norm(vectors.astype(np.float32), axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-3)
    nameless = [bits for bits in read.records["flags"].to_pylist() if bits & Flag.NAME_MISSING]
    assert len(nameless) == 128


_COLUMNS = {
    "decimal_latitude": "decimalLatitude",
    "decimal_longitude": "decimalLongitude",
    "coordinate_uncertainty_m": "coordinateUncertaintyInMeters",
    "event_date": "eventDate",
    "licence": "license",
    "observer": "recordedBy",
}
_NUMBERS = st.one_of(
    st.none(),
    st.floats(-200, 200).map(str),
    st.sampled_from(
        ["", "0", "-0.0", " 12.5 ", "+4", ".5", "5.", "1e1", "east", "inf", "nan", "9_1"]
    ),
)
_ROW = st.fixed_dictionaries(
    {
        "decimalLatitude": _NUMBERS,
        "decimalLongitude": _NUMBERS,
        "coordinateUncertaintyInMeters": st.one_of(
            _NUMBERS, st.sampled_from(["25", "800", "30000", "1e9", "-1"])
        ),
        "eventDate": st.one_of(
            st.none(),
            st.dates().map(str),
            st.sampled_from(
                ["2021", "2021-05", "2020-12-30/2021-01-02", "2021-02-30", "soon", " "]
            ),
        ),
        "license": st.sampled_from([None, "CC BY 4.0", "cc0", "ask me"]),
        "recordedBy": st.sampled_from([None, "Ada", " Ada  L. ", "NA"]),
        "kingdom": st.sampled_from([None, "Animalia", "incertae sedis"]),
        "species": st.sampled_from([None, "Hyla arborea"]),
    }
)


@given(st.lists(_ROW, min_size=1, max_size=12))
def test_columns_say_what_rows_say(rows: list[dict[str, str | None]]) -> None:
    """Would break: an occurrence has another cell, day or flag when it comes with a vector."""
    as_of = date(2024, 6, 1)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "v.parquet"
        ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(len(rows))]
        table = pa.Table.from_pylist(rows).append_column("uuid", pa.array(ids))
        for name, column in zip(table.column_names, table.columns, strict=True):
            if pa.types.is_null(column.type):
                at = table.column_names.index(name)
                table = table.set_column(at, name, column.cast(pa.string()))
        pq.write_table(table.append_column("emb", pa.array([[1.0]] * len(rows))), path)
        section = EmbeddingsSection(
            key="s", title="S", path=path, space="s", columns=_COLUMNS, as_of=as_of
        )
        source = EmbeddingsSource(section, ranks=RANKS, dim=None, resolution=7)
        read = source.read(sole(source.parts())).records
    defaults = Defaults(source_key="s", licence="", media_licence="", as_of=as_of)
    expected = records_table(
        [
            record_of(
                {name: value or "" for name, value in row.items()} | {"occurrenceID": f"urn:{at}"},
                media_ref="",
                row=at + 1,
                ranks=RANKS,
                defaults=defaults,
            )
            for at, row in enumerate(rows)
        ]
    )
    expected = with_cells(expected, 7)
    made = int(Flag.OCCURRENCE_ID_MADE)
    for name in RECORD_SCHEMA.names:
        if name in {"image_id", "occurrence_id", "media_ref"}:
            continue
        found, wanted = read[name].to_pylist(), expected[name].to_pylist()
        if name == "flags":
            found = [bits & ~made for bits in found]
        assert found == wanted, name


@pytest.mark.parametrize(
    ("column", "latitude", "day"),
    [
        (pa.array([52.25, None], pa.float64()), 52.25, "2021-05-31"),
        (pa.array([52.25, float("nan")], pa.float32()), 52.25, "2021-05-31"),
        (pa.array([52, None], pa.int32()), 52.0, "2021-05-31"),
    ],
)
def test_numbers_and_dates_may_be_typed(
    tmp_path: Path, column: pa.Array, latitude: float, day: str
) -> None:
    """Would break: files that keep numbers as numbers and days as days lose place and date."""
    table = pa.table(
        {
            "uuid": IDS[:2],
            "emb": [[1.0]] * 2,
            "lat": column,
            "lon": column,
            "day": pa.array([date(2021, 5, 31), None], pa.date32()),
        }
    )
    pq.write_table(table, tmp_path / "v.parquet")
    columns = {"decimal_latitude": "lat", "decimal_longitude": "lon", "event_date": "day"}
    source = source_of(tmp_path / "v.parquet", columns=columns)
    records = source.read(sole(source.parts())).records.to_pylist()
    assert records[0]["latitude"] == latitude
    assert records[0]["cell"] is not None
    assert str(records[0]["observed_from"]) == day
    assert records[1]["cell"] is records[1]["observed_from"] is records[1]["latitude"] is None
    assert not records[1]["flags"] & (Flag.COORDINATES_INVALID | Flag.DATE_INVALID)


def test_part_of_a_large_row_group_is_read(tmp_path: Path) -> None:
    """Would break: rows of a row group that is cut into parts are read twice or shifted."""
    count = 20_000
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(count)]
    table = pa.table({"uuid": ids, "emb": [[1.0]] * count})
    pq.write_table(table, tmp_path / "v.parquet", row_group_size=9_000)
    source = source_of(tmp_path / "v.parquet")
    part = msgspec.structs.replace(source.parts()[0], first_row=8_500, rows=9_400)
    records = source.read(part).records
    assert records["image_id"].to_pylist() == ids[8_500:17_900]
    assert records["row"].to_pylist()[0] == 8_501


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    """Would break: a file in another encoding stops the build without saying which column."""
    table = pa.table({"uuid": IDS[:1], "emb": [[1.0]], "common_name": [b"\xffaa"]})
    pq.write_table(table, tmp_path / "v.parquet")
    source = source_of(tmp_path / "v.parquet")
    with pytest.raises(PlanError, match="'common_name' holds text that is not UTF-8"):
        source.read(sole(source.parts()))
