"""Reading query sets: both formats, INQUIRE's own files, and every way to break one."""

from __future__ import annotations

from pathlib import Path

import pytest

from atlas.errors import PlanError
from indexer.evaluation.query_set import QuerySet, read_query_set
from indexer.evaluation.settings import (
    QueriesSection,
    QuerySetSettings,
    RelevantSection,
    read_settings,
)

INQUIRE = Path(__file__).resolve().parents[3] / "configs" / "inquire.toml"
A, B, C = (f"00000000-0000-4000-8000-00000000000{i}" for i in (1, 2, 3))
# The columns and the manner of the benchmark's files; the rows are made up.
INQUIRE_QUERIES = """,query_id,query_text,supercategory,category,iconic_group
83,109,a heron with a band on its leg,Appearance,Tracking and Identification,Birds
106,139,beetles mating ,Behavior,"Mating, Courtship, Reproduction",Insects
4,13,thistle in flower,Species,Species ID,Plants
"""
INQUIRE_ANNOTATIONS = """query_id,image_id,image_path
109,4400123,train/04686_Animalia_Chordata_Aves_x_y_z/903be103-0000-409b-81f1-82d4478928f0.jpg
109,17,train/04686_Animalia_Chordata_Aves_x_y_z/903be103-0000-409b-81f1-82d4478928f1.jpg
139,99,train/00001_Animalia_Arthropoda_Insecta_x_y_z/903be103-0000-409b-81f1-82d4478928f2.jpg
139,99,train/00001_Animalia_Arthropoda_Insecta_x_y_z/903be103-0000-409b-81f1-82d4478928f2.jpg
777,5,train/00001_Animalia_Arthropoda_Insecta_x_y_z/903be103-0000-409b-81f1-82d4478928f3.jpg
"""


def read(folder: Path, content: str | bytes, settings: QuerySetSettings | None = None) -> QuerySet:
    """Read a file of this content."""
    path = folder / "queries.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_query_set(path, settings or QuerySetSettings())


def test_one_row_for_each_image_and_one_row_a_query_are_the_same(tmp_path: Path) -> None:
    """People have either; the scores must not depend on it."""
    long = read(tmp_path, f"query,image_id\nred frog,{A}\nowl,{B}\nred frog,{C}\n")
    piped = read(tmp_path, f"query,image_id\nred frog,{A}|{C}\nowl,{B}\n")
    blanks = read(tmp_path, f"query,image_id\nred frog,{A}  {C.upper()}\nowl,{B}\n")
    assert long == piped == blanks
    assert [(q.text, q.images) for q in long.queries] == [("red frog", (A, C)), ("owl", (B,))]
    assert (long.columns, long.repeated) == ((), 0)


def test_category_by_default_and_by_name(tmp_path: Path) -> None:
    """A column called `category` is what most people have; others are named."""
    text = f"query;image_id;category;group\nowl;{A};looks;birds\n"
    assert read(tmp_path, text).queries[0].categories == ("looks",)
    named = QuerySetSettings(queries=QueriesSection(categories=("group", "category")))
    assert read(tmp_path, text, named).queries[0].categories == ("birds", "looks")
    none = QuerySetSettings(queries=QueriesSection(categories=()))
    assert read(tmp_path, text, none).columns == ()


def test_ids_keep_texts_apart_and_occurrence_ids_stay_whole(tmp_path: Path) -> None:
    """Two queries may share a text, and a museum's occurrence ids hold blanks."""
    settings = QuerySetSettings(
        match="occurrence_id", queries=QueriesSection(query_id="number", separators="")
    )
    found = read(
        tmp_path, "number,query,image_id\n1,owl,MVZ Bird 1\n2,owl,MVZ Bird 2|b\n", settings
    )
    assert [q.images for q in found.queries] == [("MVZ Bird 1",), ("MVZ Bird 2|b",)]


def test_an_image_named_twice_counts_once(tmp_path: Path) -> None:
    """Twice the same right answer would ask for more than can be found."""
    found = read(tmp_path, f"query,image_id\nowl,{A}|{A.upper()}\nowl,{A}\nowl,{B}\n")
    assert found.queries[0].images == (A, B)
    assert found.repeated == 2


def test_inquires_own_files(tmp_path: Path) -> None:
    """configs/inquire.toml reads the benchmark's files as they are published."""
    (tmp_path / "inquire_annotations.csv").write_text(INQUIRE_ANNOTATIONS)
    settings = read_settings(INQUIRE)
    found = read(tmp_path, INQUIRE_QUERIES, settings)
    assert settings.match == "occurrence_id"
    assert found.columns == ("supercategory", "category", "iconic_group")
    assert [(q.query_id, q.text, q.images) for q in found.queries] == [
        ("109", "a heron with a band on its leg", ("4400123", "17")),
        ("139", "beetles mating", ("99",)),
        ("13", "thistle in flower", ()),
    ]
    assert found.queries[1].categories == (
        "Behavior",
        "Mating, Courtship, Reproduction",
        "Insects",
    )
    assert (found.repeated, found.others) == (1, 1)


def test_inquire_by_path(tmp_path: Path) -> None:
    """What configs/inquire.toml says of bundles that have the image's path as media URL."""
    (tmp_path / "inquire_annotations.csv").write_text(INQUIRE_ANNOTATIONS)
    settings = tmp_path / "paths.toml"
    text = INQUIRE.read_text().replace('match = "occurrence_id"', 'match = "media_url"')
    settings.write_text(text.replace('image_id = "image_id"', 'image_id = "image_path"'))
    found = read(tmp_path, INQUIRE_QUERIES, read_settings(settings))
    assert found.queries[1].images[0].startswith("train/00001_Animalia")


def test_every_setting_is_documented() -> None:
    """A setting that docs/evaluation.md does not name cannot be found by who needs it."""
    text = (INQUIRE.parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for section in (QuerySetSettings, QueriesSection, RelevantSection):
        for field in section.__struct_fields__:
            assert f"`{field}`" in text or f"`[{field}]`" in text, field


BROKEN = [
    ("", 1, "empty"),
    ("query,image_id\n", 1, "no query"),
    (f"text,image_id\nowl,{A}\n", 1, "no column 'query'"),
    ("query,picture\nowl,1\n", 1, "no column 'image_id'"),
    (f"query,image_id\nowl,{A}\nowl\n", 3, "1 fields where the header has 2"),
    (f"query,image_id\n ,{A}\n", 2, "'query' is empty"),
    (f'query,image_id\nowl,{A}\n\nfrog,""\n', 4, "'image_id' is empty"),
    ("query,image_id\nowl,| |\n", 2, "names no image"),
    (f"query,image_id\nowl,{A}|17\n", 2, "'17' is not an image id"),
    (f"query,image_id,category\nowl,{A},x\nowl,{B},y\n", 3, "another text or category in line 2"),
    (f'query,image_id\nowl,{A}\n"frog,{B}\nnewt,{C}\n', 3, "quote opened here"),
    (b"query,image_id\n\xff owl,1\n", 2, "not UTF-8"),
    ("query,image_id\nowl,1\n".encode("utf-16"), 1, "UTF-16"),
    ("query,query\nowl,1\n", 1, "twice"),
]


@pytest.mark.parametrize(("content", "line", "problem"), BROKEN)
def test_broken_files_are_refused_with_their_line(
    tmp_path: Path, content: str | bytes, line: int, problem: str
) -> None:
    """A row that were left out would change the result unseen."""
    with pytest.raises(PlanError, match=problem) as refused:
        read(tmp_path, content)
    assert refused.value.line == line
    assert str(refused.value).startswith(f"{tmp_path / 'queries.csv'}:{line}: ")


def test_all_faults_are_named_together(tmp_path: Path) -> None:
    """Nobody wants to mend a file one line a run."""
    with pytest.raises(PlanError, match=r"queries\.csv:2: .*2 more rows .*: lines 4, 5\)"):
        read(tmp_path, f"query,image_id\nowl,1\nfrog,{A}\nnewt,2\n,{B}\n")


def test_a_file_of_relevant_images_is_read_as_strictly(tmp_path: Path) -> None:
    """Its faults carry its own name and line; a query may stand in the other file only once."""
    settings = QuerySetSettings(
        queries=QueriesSection(query_id="id"), relevant=RelevantSection(file="relevant.csv")
    )
    queries = "id,query\n1,owl\n2,frog\n"
    with pytest.raises(PlanError, match=r"relevant\.csv: cannot be read"):
        read(tmp_path, queries, settings)
    (tmp_path / "relevant.csv").write_text(f"query_id,image_id\n1,{A}\n2,no\n")
    with pytest.raises(PlanError, match=r"relevant\.csv:3: 'no' is not an image id"):
        read(tmp_path, queries, settings)
    (tmp_path / "relevant.csv").write_text(f"query_id,image_id\n1,{A}\n2,{B} {C}\n")
    assert [q.images for q in read(tmp_path, queries, settings).queries] == [(A,), (B, C)]
    with pytest.raises(PlanError, match=r"queries\.csv:4: query '1' is in line 2 already"):
        read(tmp_path, queries + "1,owl\n", settings)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ('match = "photo"\n', 1, "photo"),
        ('\n[queries]\ntekst = "query"\n', 3, "tekst"),
        ('[relevant]\nfile = "a.csv"\n', None, "query_id"),
        ("[queries\n", 1, "TOML"),
    ],
)
def test_broken_settings_are_refused(
    tmp_path: Path, text: str, line: int | None, problem: str
) -> None:
    """A misspelt setting that were ignored would read another column."""
    path = tmp_path / "set.toml"
    path.write_text(text)
    with pytest.raises(PlanError, match=problem) as refused:
        read_settings(path)
    assert refused.value.line == line
