"""The search benchmark end to end on a small world, with the systems that are always installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import search
from benchmarks.conditions import Condition, WorldOnDisk
from benchmarks.questions import HITS, answers, cases
from benchmarks.systems import SYSTEMS, MissingSystem, built_as, make_system, variants_of
from benchmarks.systems.system import RowNumbers, Vector
from benchmarks.worlds import World

SYSTEMS_HERE = ("atlas", "faiss-overfetch", "faiss-selector", "duckdb")
FIELDS = {
    *("benchmark", "system", "case", "filter", "share", "selectivity", "queries", "asked"),
    *("rows", "dim", "seed", "recall_at_10", "full_pages", "outside", "p50_ms", "p99_ms"),
    *("bytes_per_row", "build_s", "settings", "processor", "processors", "python", "versions"),
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Records of one run over all filters."""
    path = tmp_path_factory.mktemp("records") / "search.json"
    arguments = ["--rows", "5000", "--dim", "32", "--queries", "4", "--seed", "1"]
    arguments += ["--systems", ",".join(SYSTEMS_HERE), "--json", str(path), "--threads", "1"]
    result = CliRunner().invoke(search.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    decoded: list[dict[str, Any]] = msgspec.json.decode(path.read_bytes())
    return decoded


def test_records_are_flat_and_complete(records: list[dict[str, Any]]) -> None:
    """The report and other readers look for these fields in every record."""
    assert {record["system"] for record in records} == set(SYSTEMS_HERE)
    for record in records:
        assert set(record) >= FIELDS
        assert record["outside"] == 0
        assert record["p50_ms"] <= record["p99_ms"]
    questions = {
        system: {
            (record["filter"], record["share"], record["queries"])
            for record in records
            if record["system"] == system and record["case"] in {"index", "filtered"}
        }
        for system in SYSTEMS_HERE
    }
    assert all(asked == questions["atlas"] for asked in questions.values())


def test_exact_systems_find_everything(records: list[dict[str, Any]]) -> None:
    """Truth, filters and row numbers agree between the atlas, SQL and NumPy."""
    for record in records:
        if record["system"] in {"atlas", "duckdb"} and record["recall_at_10"] is not None:
            assert record["recall_at_10"] >= 0.99, record
            assert record["full_pages"] in {None, 1.0}


def test_over_fetching_leaves_pages_empty(records: list[dict[str, Any]]) -> None:
    """Filtering after the search cannot fill a page where few rows pass; the record says so."""
    (record,) = [
        record
        for record in records
        if record["system"] == "faiss-overfetch"
        and (record["filter"], record["share"], record["queries"]) == ("random", 0.01, "text")
    ]
    assert record["full_pages"] == 0
    assert record["recall_at_10"] < 0.5


def test_truth_is_that_of_a_plain_product(tmp_path: Path) -> None:
    """All recalls would be wrong if the truth were."""
    data = WorldOnDisk(World.made_up(3_000, 16, seed=2), tmp_path)
    asked = cases(data, ("none", "random", "taxon_region"), 3)
    for case, truths in zip(asked, answers(data, asked), strict=True):
        for question, truth in zip(case.questions, truths, strict=True):
            passing = np.flatnonzero(data.passes(question.condition))
            scores = data.vectors[passing].astype(np.float64) @ question.vector.astype(np.float64)
            assert truth.passing == len(passing)
            assert truth.rows.tolist() == passing[np.argsort(-scores)[:HITS]].tolist()


def test_a_missing_system_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A comparison that left a system out without a word would read as if there were none."""
    monkeypatch.setitem(SYSTEMS, "duckdb", "no_such_package_here:Nothing")
    with pytest.raises(MissingSystem, match="no_such_package_here"):
        make_system("duckdb")
    path = tmp_path / "search.json"
    arguments = ["--rows", "1000", "--dim", "8", "--queries", "1", "--systems", "duckdb"]
    result = CliRunner().invoke(search.main, [*arguments, "--json", str(path)])
    assert result.exit_code == 0, result.output
    assert "missing: no_such_package_here" in result.output
    (record,) = msgspec.json.decode(path.read_bytes())
    assert record["missing"] == "no_such_package_here"


class _Marking:
    """A system that leaves a file where it was told to build."""

    settings = "none"
    reads_vectors = False
    most_questions = 1

    def prepare(self, data: WorldOnDisk, folder: Path) -> None:  # noqa: ARG002 - a protocol's signature
        """Leave the file."""
        (folder / "built").touch()

    def ask(self, query: Vector, condition: Condition, count: int) -> RowNumbers:  # noqa: ARG002 - a protocol's signature
        """Find nothing."""
        return np.empty(0, np.int64)

    def close(self) -> None:
        """Nothing was opened."""


def test_variants_of_a_system_ask_what_it_built(tmp_path: Path) -> None:
    """A table of a million rows must not be built once for each way of asking it."""
    data = WorldOnDisk(World.made_up(1_000, 8, seed=3), tmp_path / "world")
    names = [name for name in SYSTEMS if name.startswith("lancedb")]
    assert len(names) > 1
    assert {built_as(name) for name in names} == {"lancedb"}
    assert variants_of("lancedb") == names
    asked = dict.fromkeys([*names, "usearch"], _Marking())
    list(search.run(data, {**asked}, [], tmp_path))
    assert sorted(path.parent.name for path in tmp_path.glob("*/built")) == ["lancedb", "usearch"]
