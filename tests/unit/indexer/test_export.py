"""What leaves a bundle is what is in it: every row that passes, with its licence and its place."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from atlas.bundle.bundle import Bundle
from atlas.errors import BuildError, InvalidQuery, NotFound
from indexer.build import build
from indexer.commands import indexer
from indexer.export import export as export_module
from indexer.export import tables
from indexer.export.chosen import choose
from indexer.export.export import Format
from indexer.export.rows import Batch, batches
from indexer.plan import read_plan
from indexer.progress import Silent
from indexer.remove import remove
from tests.unit.indexer.frog_atlas import (
    EVERY,
    as_records,
    build_archive,
    exported,
    stored,
    table_of,
    write_frogs,
)

EMBEDDINGS = """\
[atlas]
title = "Vectors"
[output]
bundle = "again"
[[sources]]
kind = "embeddings"
key = "again"
title = "Again"
path = "out.parquet"
space = "tiny"
as_of = 2026-01-01
[sources.columns]
media_url = "url"
observer = "recordedBy"
licence = "license"
media_licence = "mediaLicense"
rights_holder = "rightsHolder"
reference_url = "references"
decimal_latitude = "decimalLatitude"
decimal_longitude = "decimalLongitude"
coordinate_uncertainty_m = "coordinateUncertaintyInMeters"
event_date = "eventDate"
[[spaces]]
name = "tiny"
dim = 24
[quality]
land_taxa = []
[measure]
queries = 10
[workers]
count = 1
"""


def vectors_of(root: Path) -> dict[str, list[float]]:
    """Vectors of a bundle by image id."""
    bundle = Bundle.open(root)
    found = np.concatenate([segment.vectors("tiny") for segment in bundle.segments])
    ids = [row["image_id"] for row in stored(root)]
    return dict(zip(ids, found.astype(np.float32).tolist(), strict=True))


def test_parquet_is_built_again_with_the_same_vectors(
    unserved_bundle: Path, tmp_path: Path
) -> None:
    """Would break: vectors come out in another order than their rows, or lose digits."""
    written = exported(unserved_bundle, tmp_path / "out.parquet", "parquet")
    (tmp_path / "plan.toml").write_text(EMBEDDINGS, encoding="utf-8")
    build(read_plan(tmp_path / "plan.toml"), Silent())
    before, after = vectors_of(unserved_bundle), vectors_of(tmp_path / "again")
    assert before.keys() == after.keys()
    assert len(before) == written.photos
    for image, vector in before.items():
        # Unit vectors of half precision may move by their last digit when they are scaled again.
        np.testing.assert_allclose(after[image], vector, rtol=0, atol=2**-11)
    table = pq.read_table(tmp_path / "out.parquet")
    for uuid, vector in zip(table["uuid"].to_pylist(), table["emb"].to_pylist(), strict=True):
        assert before[uuid] == vector
    kept = [
        {name: value for name, value in row.items() if name != "source_key"}
        for rows in (stored(unserved_bundle), stored(tmp_path / "again"))
        for row in rows
    ]
    assert as_records(kept[: len(before)]) == as_records(kept[len(before) :])


def test_parquet_has_the_columns_that_emb_explorer_reads(
    unserved_bundle: Path, tmp_path: Path
) -> None:
    """Would break: the file is refused, its taxonomy stays unseen, or its vectors are no lists."""
    exported(unserved_bundle, tmp_path / "out.parquet", "parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.names[:10] == [
        "uuid", "emb", "kingdom", "phylum", "class", "order", "family", "genus", "species", "url",
    ]  # fmt: skip
    assert str(schema.field("uuid").type) == "string"
    assert str(schema.field("emb").type) == "list<element: float>"


def test_row_groups_are_written_as_rows_come(
    unserved_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a large export is put together in memory, or small batches lose rows."""
    whole = exported(unserved_bundle, tmp_path / "whole.parquet", "parquet")
    held = []

    def few(chosen: Any) -> Iterator[Batch]:
        for batch in batches(chosen, rows=5):
            held.append(len(batch.positions))
            yield batch

    monkeypatch.setattr(export_module, "batches", few)
    monkeypatch.setattr(tables, "_GROUP_BYTES", 20 * 4 * 24)
    exported(unserved_bundle, tmp_path / "few.parquet", "parquet")
    assert max(held) == 5
    with pq.ParquetFile(tmp_path / "few.parquet") as file:
        sizes = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    assert sum(sizes) == whole.photos
    assert max(sizes) == 20
    assert pq.read_table(tmp_path / "few.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))


def test_csv_is_read_back_as_it_was(frogs: Path, tmp_path: Path) -> None:
    """Would break: a comma, a quote or an accent breaks a line or is lost; unknown becomes text."""
    written = exported(frogs, tmp_path / "out.csv", "csv")
    content = (tmp_path / "out.csv").read_text(encoding="utf-8")
    read = {row["uuid"]: row for row in csv.DictReader(io.StringIO(content, newline=""))}
    rows = {row["image_id"]: row for row in stored(frogs)}
    assert read.keys() == rows.keys()
    assert len(read) == written.photos == sum(written.by_source.values())
    assert sum(written.by_licence.values()) == written.photos
    for uuid, row in rows.items():
        line = read[uuid]
        assert line["scientificName"] == row["scientific_name"]
        assert line["vernacularName"] == row["common_name"]
        assert line["recordedBy"] == row["observer"]
        assert [line["kingdom"], line["family"]] == [row["lineage"][0], row["lineage"][4]]
        assert float(line["decimalLatitude"]) == row["latitude"]
        uncertainty = line["coordinateUncertaintyInMeters"]
        assert (float(uncertainty) if uncertainty else None) == row["uncertainty_m"]
        days = [str(row[name]) for name in ("observed_from", "observed_to") if row[name]]
        assert line["eventDate"] == "/".join(dict.fromkeys(days))


FILTERS: tuple[tuple[dict[str, Any], str | None], ...] = (
    ({}, "Hylidae"),
    ({"flags": "all"}, "Hylidae"),
    ({"bbox": [-5.0, 40.0, -3.0, 43.0]}, None),
    ({"observed": {"from": "2020-01-01"}}, None),
    ({"licences": ["CC0-1.0"], "flags": "all"}, "Animalia"),
    ({"sources": ["frogs"], "max_uncertainty_m": 100}, None),
)


@pytest.mark.parametrize(("limits", "taxon"), FILTERS)
def test_an_export_holds_what_the_filter_lets_pass(
    frogs: Path, tmp_path: Path, limits: dict[str, Any], taxon: str | None
) -> None:
    """Would break: a file holds other rows than a search under the same filter would find."""
    with choose(frogs, limits, taxon=taxon) as chosen:
        at = np.concatenate([selection.positions() for selection in chosen.rows.selections])
    wanted = [stored(frogs)[row]["image_id"] for row in at]
    assert 0 < len(wanted) < 70
    written = exported(frogs, tmp_path / "out.csv", "csv", limits=limits, taxon=taxon)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert [row["uuid"] for row in csv.DictReader(file)] == wanted
    assert written.photos == len(wanted)
    if limits.get("flags") != "all":
        everything = exported(
            frogs, tmp_path / "all.csv", "csv", limits=limits | EVERY, taxon=taxon
        )
        assert everything.photos == written.photos + written.held_back


def test_removed_rows_are_in_no_export(tmp_path: Path) -> None:
    """Would break: what was taken down comes out again, since its bytes are still there."""
    bundle = build_archive(tmp_path, write_frogs(tmp_path / "archive"), "frogs")
    remove(
        bundle,
        occurrence_ids=["o-7"],
        licences=(),
        ignore_missing=False,
        dry_run=False,
        watcher=Silent(),
    )
    forms: tuple[Format, ...] = ("csv", "dwca", "parquet")
    for form in forms:
        written = exported(bundle, tmp_path / f"out.{form}", form)
        assert written.photos == written.living == 67
    assert "o-7" not in (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert "o-7" not in {
        row["occurrenceID"] for row in table_of(tmp_path / "out.dwca", "occurrence")
    }


def test_an_export_that_fails_leaves_the_old_file(
    frogs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: half a file looks like an export, or rows are missing and nobody is told."""
    output = tmp_path / "out.csv"
    output.write_text("older")

    def fewer(chosen: Any) -> Iterator[Batch]:
        yield from list(batches(chosen, rows=30))[:-1]

    monkeypatch.setattr(export_module, "batches", fewer)
    with pytest.raises(BuildError, match="70 photos pass the filter, 60 were written"):
        exported(frogs, output, "csv")
    assert output.read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_what_cannot_be_exported_is_refused_in_words(
    frogs: Path, twin_bundle: Path, tmp_path: Path
) -> None:
    """Would break: a wrong question gives an empty file, or writes into the bundle."""
    output = tmp_path / "out"
    twin = shutil.copytree(twin_bundle, tmp_path / "twin")  # a server has that one open
    with pytest.raises(InvalidQuery, match="inside the bundle"):
        exported(frogs, frogs / "out.csv", "csv")
    with pytest.raises(InvalidQuery, match="no taxon is named 'Hilidae'"):
        exported(frogs, output, "csv", taxon="Hilidae")
    with pytest.raises(InvalidQuery, match="has no source 'toads'"):
        exported(frogs, output, "csv", limits={"sources": ["toads"]})
    with pytest.raises(InvalidQuery, match="unknown field `planet`"):
        exported(frogs, output, "csv", limits={"planet": "Mars"})
    with pytest.raises(InvalidQuery, match="has several, name one: tiny, wide"):
        exported(twin, output, "parquet")
    with pytest.raises(NotFound):
        exported(twin, output, "parquet", space="none")
    assert not output.exists()
    exported(twin, output, "parquet", space="wide")
    assert len(pq.read_table(output)["emb"][0]) == 32


def test_the_command_prints_what_was_written(frogs: Path, tmp_path: Path) -> None:
    """Would break: a person does not learn how many rows were left out, or an error is a trace."""
    output = tmp_path / "out.zip"
    asked = ["export", str(frogs), "--format", "dwca", "-o", str(output), "--quiet"]
    ran = CliRunner().invoke(indexer, [*asked, "--bbox=-5,40,-3,43", "--from", "2020-01-01"])
    assert ran.exit_code == 0, ran.output
    core = table_of(output, "occurrence")
    assert f"{len(core)} occurrences" in ran.output
    assert "of 70 photos pass the filter and were written" in ran.output
    ran = CliRunner().invoke(indexer, [*asked, "--json", "--filter", '{"months": [2]}'])
    assert f'"occurrences": {len(table_of(output, "occurrence"))}' in ran.output
    ran = CliRunner().invoke(indexer, [*asked, "--filter", "frogs"])
    assert ran.exit_code == 1
    assert ran.output.startswith("indexer: filter: is not a JSON object")
