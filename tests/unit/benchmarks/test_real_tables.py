"""Tables and plans made of real files: nothing is misread, lost or written wrongly."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path

import pytest

from benchmarks.real.crops import Credit, photos_without_credit, read_credits
from benchmarks.real.plans import absolute_encoder, write_plan, write_table
from indexer.plan import read_plan

HEAD = "# photos\n\nfile | author | license | URL\n---- | ------ | ------- | ---\n"
NAMES = Path(__file__).resolve().parents[3] / "benchmarks" / "real" / "crop_names.csv"


def table(folder: Path, *rows: str) -> Path:
    """A licence table with these rows."""
    path = folder / "LICENSE.md"
    path.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_credit_is_read_as_it_is_written(tmp_path: Path) -> None:
    """An author cut at a bracket or a page cut at a quote would be another credit."""
    path = table(
        tmp_path,
        "[`lime.jpg`](lime.jpg) | TANAKA Juuyoh (田中十洋) | CC-BY 2.0 | https://example.org/a_(b)",
        "",
        "[`oil-palm.jpg`](oil-palm.jpg) | A/B and C | Public Domain | https://example.org/%22c%22",
    )
    assert read_credits(path) == [
        Credit("lime.jpg", "TANAKA Juuyoh (田中十洋)", "CC-BY 2.0", "https://example.org/a_(b)"),
        Credit("oil-palm.jpg", "A/B and C", "Public Domain", "https://example.org/%22c%22"),
    ]


@pytest.mark.parametrize(
    "row",
    [
        "lime.jpg | author | CC0 | https://example.org",
        "[`lime.jpg`](lemon.jpg) | author | CC0 | https://example.org",
        "[`lime.jpg`](lime.jpg) | author | CC0",
    ],
)
def test_a_row_that_cannot_be_read_stops(tmp_path: Path, row: str) -> None:
    """A credit that is skipped because its line looks odd would leave a photo without one."""
    with pytest.raises(ValueError, match="not a row of the licence table"):
        read_credits(table(tmp_path, row))


def test_photos_that_no_row_names_are_listed(tmp_path: Path) -> None:
    """A photo without a credit must be seen by whoever reads the report."""
    table(tmp_path, "[`pear.jpg`](pear.jpg) | author | CC0 | https://example.org")
    for name in ("pears.jpg", "pear.jpg", "apple.jpg"):
        (tmp_path / name).touch()
    assert photos_without_credit(tmp_path) == ["apple.jpg", "pears.jpg"]


def test_crop_names_fit_their_lineages() -> None:
    """A species below another genus would put a photo into the wrong part of the tree."""
    with NAMES.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["crop"] for row in rows}) == len(rows) == 55
    parents: dict[tuple[str, str], str] = {}
    for row in rows:
        assert row["common_name"]
        assert row["class"]
        if row["species"]:
            assert row["species"].split()[0] == row["genus"]
        for rank, above in (("genus", "family"), ("family", "order"), ("order", "class")):
            if row[rank]:
                assert parents.setdefault((rank, row[rank]), row[above]) == row[above]


def test_a_plan_is_written_so_that_it_reads_back(tmp_path: Path) -> None:
    """Quotes, backslashes and other scripts in a citation must not break the plan."""
    title = 'A "quoted" \\ title, 田中十洋'
    path = write_plan(
        tmp_path / "plan.toml",
        {
            "atlas": {"title": title},
            "output": {"bundle": "bundle"},
            "sources": [
                {"kind": "embeddings", "key": "k", "title": "t", "path": tmp_path, "space": "s"}
            ],
            "spaces": [{"name": "s"}],
            "media": {"host": ["CC0-1.0"], "max_side_px": 64},
        },
    )
    assert tomllib.loads(path.read_text(encoding="utf-8"))["atlas"]["title"] == title
    assert read_plan(path).sources[0].path == tmp_path


def test_a_plan_refuses_values_that_toml_does_not_have(tmp_path: Path) -> None:
    """A value that is written as its Python name would be refused later, far from here."""
    with pytest.raises(TypeError, match="NoneType"):
        write_plan(tmp_path / "plan.toml", {"atlas": {"title": None}})


def test_a_table_refuses_keys_that_are_no_columns(tmp_path: Path) -> None:
    """A value without a column would be lost without a word."""
    with pytest.raises(ValueError, match="mediaLicence"):
        write_table(tmp_path / "t.csv", [{"file": "a", "mediaLicence": "CC0"}], ("file",))


def test_a_local_encoder_is_found_from_a_plan_elsewhere() -> None:
    """A plan takes relative folders from its own place, which is not where the command ran."""
    assert absolute_encoder("local-dir:models/m") == f"local-dir:{Path.cwd() / 'models/m'}"
    assert absolute_encoder("hf-hub:owner/name") == "hf-hub:owner/name"
    assert absolute_encoder("ViT-B-32") == "ViT-B-32"
