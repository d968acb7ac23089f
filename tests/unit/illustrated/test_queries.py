"""The demo atlas's own query set: its right answers are all that were drawn, and no other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from atlas.bundle.image_ids import image_id_of
from illustrated.__main__ import main
from illustrated.faults import with_faults
from illustrated.queries import FAMILIES, SPECIES, AtlasQuery, atlas_queries
from illustrated.records import RecordMaker
from indexer.evaluation.query_set import read_query_set
from indexer.evaluation.settings import QuerySetSettings

RECORDS = 700


@pytest.fixture(scope="module")
def queries() -> list[AtlasQuery]:
    """Fifteen queries of each category over a small atlas."""
    return atlas_queries(RECORDS, 7, "illustrated", 15, 1)


def test_categories_and_texts(queries: list[AtlasQuery]) -> None:
    """Each category is asked as often as another, and nothing twice."""
    counts = Counter(query.category for query in queries)
    assert counts == dict.fromkeys([*FAMILIES, SPECIES], 15)
    assert len({query.text for query in queries}) == len(queries)
    assert queries == atlas_queries(RECORDS, 7, "illustrated", 15, 1)
    assert queries != atlas_queries(RECORDS, 7, "illustrated", 15, 2)


def test_right_answers_are_the_drawn_ones(queries: list[AtlasQuery]) -> None:
    """One forgotten right answer counts against every model."""
    looks = {
        image_id_of("illustrated", one.record.row["occurrenceID"], one.record.row["file"]): one
        for one in with_faults(RecordMaker(7).make(RECORDS))
        if one.fate != "rejected"
    }
    (headline,) = [query for query in queries if query.text == "red-eyed frogs near rivers"]
    drawn = {
        image_id
        for image_id, one in looks.items()
        if (one.record.look.group, one.record.look.accent, one.record.look.habitat)
        == ("frog", "red", "river")
    }
    assert set(headline.image_ids) == drawn
    for query in queries:
        assert set(query.image_ids) <= looks.keys()
        if query.category == SPECIES:
            named = {
                image_id
                for image_id, one in looks.items()
                if one.record.row["vernacularName"] == query.text
            }
            assert set(query.image_ids) == named


def test_too_many_queries_are_refused() -> None:
    """A set that were filled up with repetitions would count them twice."""
    with pytest.raises(ValueError, match="only"):
        atlas_queries(RECORDS, 7, "illustrated", 500, 1)


def test_the_command_writes_what_evaluate_reads(tmp_path: Path) -> None:
    """The two programs must agree on the file between them."""
    path = tmp_path / "queries.csv"
    arguments = ["queries", "--output", str(path), "--records", str(RECORDS), "--each", "5"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    read = read_query_set(path, QuerySetSettings())
    assert len(read.queries) == 20
    assert read.columns == ("category",)
    assert "20 queries" in result.output
