"""Strict reading of delimited text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas.errors import PlanError
from indexer.plan_sections import FolderSection
from indexer.records import RejectReason
from indexer.sources.text_table import TextRow, TextTable


def table(path: Path, content: bytes, **options: str) -> TextTable:
    """A table with this content."""
    path.write_bytes(content)
    section = FolderSection(
        key="k",
        title="T",
        path=path.parent,
        records=path,
        **options,  # type: ignore[arg-type]
    )
    return TextTable(section)


def rows(path: Path, content: bytes, **options: str) -> list[TextRow]:
    """All rows of a table with this content."""
    return list(table(path, content, **options).rows())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the table goes."""
    return tmp_path / "records.csv"


def test_quoted_line_ends_belong_to_the_field(path: Path) -> None:
    """Would break: a remark of two lines is cut, and later rows get wrong lines."""
    found = rows(path, b'file,note\r\na.jpg,"one\r\ntwo, ""three"""\r\nb.jpg,x\r\n')
    assert [row.fields for row in found] == [["a.jpg", 'one\r\ntwo, "three"'], ["b.jpg", "x"]]
    assert [row.line for row in found] == [2, 4]


def test_a_byte_order_mark_is_no_part_of_the_header(path: Path) -> None:
    """Would break: tables saved by a spreadsheet lack their first column."""
    made = table(path, b"\xef\xbb\xbffile,note\na,b\n")
    assert made.columns == ("file", "note")
    assert [row.offset for row in made.rows()] == [13]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (b"a;b;c,d\n1;2;3\n", ("a", "b", "c,d")),
        (b"a\tb\n1\t2\n", ("a", "b")),
        (b"a|b\n1|2\n", ("a", "b")),
        (b"a\n1\n", ("a",)),
    ],
)
def test_the_delimiter_is_found(path: Path, content: bytes, columns: tuple[str, ...]) -> None:
    """Would break: a semicolon or tab table is read as one wide column."""
    made = table(path, content)
    assert made.columns == columns
    assert all(row.reason is None for row in made.rows())


def test_tab_tables_have_no_quoting_unless_declared(path: Path) -> None:
    """Would break: a lone quote in a GBIF download swallows the rows after it."""
    content = b'a\tb\n5" tall\tx\n"y\tz\n'
    assert [row.fields for row in rows(path, content)] == [['5" tall', "x"], ['"y', "z"]]
    quoted = rows(path, b'a\tb\n"y\tz"\tw\n', quoting="double")
    assert [row.fields for row in quoted] == [["y\tz", "w"]]


@pytest.mark.parametrize(
    ("content", "lines", "refused"),
    [
        (b"a,b\n1,2\n3\n4,5\n", [2, 3, 4], [3]),
        (b"a,b\n1,2,3\n4,5\n", [2, 3], [2]),
        (b'a,b\n1,"2\n3,4\n5,6\n', [2, 3, 4], [2]),
        (b'a,b\n1,"2"x\n3,4\n', [2, 3], [2]),
        (b'a,b\n1,"2\n3,4\n5",6\n7,8\n', [2, 3, 4, 5], [2]),
        (b"a,b\n\n1,2\n\r\n3,4", [3, 5], []),
        (b"a,b\n   \n1,2\n", [2, 3], [2]),
    ],
)
def test_a_broken_row_costs_itself_alone(
    path: Path, content: bytes, lines: list[int], refused: list[int]
) -> None:
    """Would break: rows after a stray quote vanish without a word."""
    found = rows(path, content)
    assert [row.line for row in found] == lines
    assert [row.line for row in found if row.reason is RejectReason.RAGGED_ROW] == refused
    assert all(row.detail for row in found if row.reason)


def test_latin_1_is_read_only_where_declared(path: Path) -> None:
    """Would break: names are garbled silently, or a declared encoding is ignored."""
    content = "file,name\na.jpg,Grenouille dorée\n".encode("latin-1")
    assert rows(path, content, encoding="latin-1")[0].fields[1] == "Grenouille dorée"
    assert "\udce9" in rows(path, content)[0].fields[1]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b,a\n1,2,3\n", "'a' twice"),
        (b"\xff\xfea\x00,\x00", "UTF-16"),
        (b'"a,b\n1,2\n', "header"),
    ],
)
def test_unusable_tables_are_refused_whole(path: Path, content: bytes, problem: str) -> None:
    """Would break: a table that cannot be meant is read anyway."""
    with pytest.raises(PlanError, match=problem):
        table(path, content)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    """Would break: a typing error in the plan ends in a traceback."""
    section = FolderSection(key="k", title="T", path=tmp_path, records=tmp_path / "no.csv")
    with pytest.raises(PlanError, match="cannot be read"):
        TextTable(section)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.text(alphabet='a,"\n\r x', max_size=60))
def test_reading_from_any_row_gives_the_same_rows(path: Path, body: str) -> None:
    """Would break: a part that starts in the middle of the table sees other rows."""
    made = table(path, b"p,q\n" + body.encode())
    everything = list(made.rows())
    for at, row in enumerate(everything):
        assert list(made.rows(offset=row.offset, line=row.line)) == everything[at:]
