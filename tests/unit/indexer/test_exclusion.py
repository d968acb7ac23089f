"""Rows that a plan leaves out by a list of ids: all of them, no other, and nothing unsaid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.bundle.bundle import Bundle
from atlas.errors import BuildError, PlanError
from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Advance
from tests.factories import write_plan
from tests.unit.indexer.ready import built, write_ready_plan, write_vectors


class Listener:
    """Keeps what a build says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Advance]:  # noqa: ARG002 - a protocol's signature
        """Count without showing."""
        yield lambda _done: None

    def note(self, message: str) -> None:
        """Keep a line."""
        self.said.append(message)


def stored_rows(bundle: Path) -> list[dict[str, object]]:
    """The rows of the live bundle's only segment, in order."""
    (entry,) = Bundle.open(bundle).manifest.segments
    found: list[dict[str, object]] = pq.read_table(
        bundle / "segments" / entry.name / "rows.parquet"
    ).to_pylist()
    return found


def vectors_of(bundle: Path) -> dict[object, bytes]:
    """The stored vector of each image."""
    (segment,) = Bundle.open(bundle).segments
    return {
        row["image_id"]: segment.vectors("small")[at].tobytes()
        for at, row in enumerate(stored_rows(bundle))
    }


def rejects_of(bundle: Path) -> list[dict[str, object]]:
    """All rejects of the live bundle."""
    opened = Bundle.open(bundle)
    found: list[dict[str, object]] = pq.read_table(bundle / opened.manifest.rejects).to_pylist()
    return found


def test_listed_records_are_refused_with_their_vectors(tmp_path: Path) -> None:
    """Would break: a listed row is searched all the same, or a row gets its neighbour's vector."""
    write_vectors(tmp_path / "garden.parquet", 200, seed=1)
    plan = write_ready_plan(tmp_path, "garden", sections={"index": "exact_below = 1000"})
    built(plan)
    before = vectors_of(tmp_path / "bundle")
    ids = pq.read_table(tmp_path / "garden.parquet")["uuid"].to_pylist()
    listed = [ids[3].upper(), ids[4], ids[150], "no such image", ids[3]]
    pq.write_table(pa.table({"picture": listed}), tmp_path / "faces.parquet")
    section = {"exclude": 'file = "faces.parquet"\ncolumn = "picture"\nby = "image_id"'}
    write_ready_plan(tmp_path, "garden", sections={"index": "exact_below = 1000"} | section)
    listener = Listener()
    manifest = build(read_plan(plan), listener).manifest
    (source,) = manifest.sources
    assert (source.rows_in, source.rows_out, source.rejects) == (200, 197, {"excluded": 3})
    left = {image: before[image] for image in ids if image not in {ids[3], ids[4], ids[150]}}
    assert vectors_of(tmp_path / "bundle") == left
    refused = rejects_of(tmp_path / "bundle")
    assert [(row["row"], row["stage"], row["reason"]) for row in refused] == [
        (number, "read", "excluded") for number in (4, 5, 151)
    ]
    (said,) = [line for line in listener.said if "faces.parquet" in line]
    assert "3 of 4 ids met; 1 met no row (no such image)" in said
    unmet = pq.read_table(tmp_path / "bundle.work" / "exclude-unmet.parquet")
    assert unmet["id"].to_pylist() == ["no such image"]


@pytest.mark.parametrize(
    ("by", "ids", "gone"),
    [
        ("occurrence_id", ["urn:test:4", "urn:test:0"], {"urn:test:4", "urn:test:0"}),
        ("file", ["photos/0007.png"], {"urn:test:7"}),
    ],
)
def test_listed_photos_are_not_opened(
    tmp_path: Path, tiny_model: Path, tiny_photos: Path, by: str, ids: list[str], gone: set[str]
) -> None:
    """Would break: all photos of a listed record are not left out, or one is read before it is."""
    pq.write_table(pa.table({"occurrence_id": ids}), tmp_path / "ids.parquet")
    plan = write_plan(
        tmp_path / "plan.toml",
        photos=tiny_photos,
        model=tiny_model,
        bundle=tmp_path / "bundle",
        exclude=f'file = "ids.parquet"\nby = "{by}"',
    )
    manifest = built(plan).manifest
    stored = {row["occurrence_id"] for row in stored_rows(tmp_path / "bundle")}
    assert not gone & stored
    refused = [row for row in rejects_of(tmp_path / "bundle") if row["reason"] == "excluded"]
    assert {row["occurrence_id"] for row in refused} == gone
    (source,) = manifest.sources
    assert source.rejects["excluded"] == len(refused)
    assert source.rows_in == source.rows_out + sum(source.rejects.values())
    embedded = pa.concat_tables(
        [
            pq.read_table(path, columns=["occurrence_id"])
            for path in (tmp_path / "bundle.work" / "embed").glob("*[0-9].parquet")
        ]
    )
    assert not gone & set(embedded["occurrence_id"].to_pylist())


def test_another_list_is_another_bundle_and_the_same_list_is_not(tmp_path: Path) -> None:
    """Would break: a longer list changes nothing, since the parts were finished before."""
    write_vectors(tmp_path / "garden.parquet", 60, seed=1)
    sections = {"exclude": 'file = "ids.parquet"', "rejects": "max_share = 0.0"}
    plan = write_ready_plan(tmp_path, "garden", sections=sections)
    ids = pq.read_table(tmp_path / "garden.parquet")["source_id"].to_pylist()
    pq.write_table(pa.table({"occurrence_id": ids[:50]}), tmp_path / "ids.parquet")
    plan.write_text(
        plan.read_text().replace(
            'space = "small"\n', 'space = "small"\ncolumns = { occurrence_id = "source_id" }\n'
        )
    )
    # Rows that are left out on purpose are not among those that the plan's share is of.
    assert built(plan).manifest.rows == 10
    assert built(plan).was_live
    pq.write_table(pa.table({"occurrence_id": ids[:55]}), tmp_path / "ids.parquet")
    assert built(plan).manifest.rows == 5
    pq.write_table(pa.table({"occurrence_id": ids}), tmp_path / "ids.parquet")
    with pytest.raises(BuildError, match="all 60 rows were refused: 60 excluded"):
        built(plan)


def test_numbers_are_ids_too(tmp_path: Path) -> None:
    """Would break: a list of photo numbers as another program wrote it matches nothing."""
    rows = 30
    write_vectors(tmp_path / "garden.parquet", rows, seed=1)
    table = pq.read_table(tmp_path / "garden.parquet")
    numbered = table.set_column(
        table.schema.get_field_index("source_id"), "source_id", pa.array(range(rows)).cast("string")
    )
    pq.write_table(numbered, tmp_path / "garden.parquet")
    pq.write_table(pa.table({"occurrence_id": np.arange(3)}), tmp_path / "ids.parquet")
    plan = write_ready_plan(tmp_path, "garden", sections={"exclude": 'file = "ids.parquet"'})
    plan.write_text(
        plan.read_text().replace(
            'space = "small"\n', 'space = "small"\ncolumns = { occurrence_id = "source_id" }\n'
        )
    )
    assert built(plan).manifest.rows == rows - 3
    reasons = Counter(row["reason"] for row in rejects_of(tmp_path / "bundle"))
    assert reasons == {"excluded": 3}


@pytest.mark.parametrize(
    ("column", "values", "problem"),
    [
        ("id", ["a"], "has no column 'occurrence_id'; it has: id"),
        ("occurrence_id", ["a", None], "row 2 of column 'occurrence_id' is empty"),
        ("occurrence_id", ["a", "  "], "row 2 of column 'occurrence_id' is empty"),
        ("occurrence_id", [1.5], "holds double, not text or numbers"),
        (None, None, "is not a readable Parquet file"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(
    tmp_path: Path, column: str | None, values: list[object] | None, problem: str
) -> None:
    """Would break: a list with a fault leaves nothing out, and nobody is told."""
    write_vectors(tmp_path / "garden.parquet", 20, seed=1)
    plan = write_ready_plan(tmp_path, "garden", sections={"exclude": 'file = "ids.parquet"'})
    if column is None:
        (tmp_path / "ids.parquet").write_text("occurrence_id\na\n")
    else:
        pq.write_table(pa.table({column: pa.array(values)}), tmp_path / "ids.parquet")
    with pytest.raises(PlanError, match=problem) as caught:
        built(plan)
    assert caught.value.path == tmp_path / "ids.parquet"
