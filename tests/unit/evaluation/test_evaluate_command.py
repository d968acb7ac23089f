"""`indexer evaluate` from files to tables, on bundles that the indexer built."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result

from atlas.bundle.bundle import Bundle
from atlas.catalog import Catalog
from indexer.build import build
from indexer.commands import indexer
from indexer.plan import read_plan
from indexer.progress import Silent
from indexer.space_encoder import encoder_of
from tests.bundle_factory import random_vectors, write_bundle
from tests.factories import make_tiny_model, write_plan

INQUIRE = Path(__file__).resolve().parents[3] / "configs" / "inquire.toml"
TEXTS = ("a frog", "a bird by the sea", "flowers")
STRANGER = "00000000-0000-4000-8000-000000000001"


def run(bundle: Path, queries: Path, *arguments: str) -> Result:
    """`indexer evaluate` with these arguments."""
    return CliRunner().invoke(
        indexer, ["evaluate", str(bundle), str(queries), *arguments], env={"COLUMNS": "100"}
    )


def image_ids(bundle: Path) -> list[str]:
    """Ids of all images, by row."""
    catalog = Catalog.open(Bundle.open(bundle, "sizes").catalog_path)
    found = catalog.image_ids(catalog.rows("TRUE").tolist())
    catalog.close()
    return [str(found[row]) for row in sorted(found)]


def write_queries(path: Path, ids: list[str]) -> Path:
    """Three queries with every third image as right answers, and two that cannot be answered."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "category", "image_id"])
        for start, text in enumerate(TEXTS):
            writer.writerow(
                [text, "ab"[start % 2], "|".join([*ids[start::3], STRANGER][: 9 + start])]
            )
        writer.writerow(["nothing", "a", STRANGER])
        writer.writerow(["hidden and nothing", "b", f"{STRANGER} {STRANGER[:-1]}2"])
    return path


def by_brute_force(bundle: Path, k: int, relevant: list[list[int]]) -> npt.NDArray[np.float64]:
    """AP of each query by a plain product and a plain loop."""
    opened = Bundle.open(bundle, "sizes")
    encoder = encoder_of(opened.spaces["tiny"])
    vectors = np.concatenate([np.asarray(s.vectors("tiny"), np.float64) for s in opened.segments])
    scores = encoder.encode_texts(TEXTS).astype(np.float64) @ vectors.T
    found = []
    for own, right in zip(scores, relevant, strict=True):
        order = np.lexsort((np.arange(len(own)), -own))[:k]
        hits, total = 0, 0.0
        for rank, row in enumerate(order, start=1):
            if row in right:
                hits += 1
                total += hits / rank
        found.append(total / min(k, len(right)))
    return np.array(found)


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle of its own: DuckDB opens one file in one way at a time, and a server may have it."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "evaluated"))


def test_numbers_are_those_of_a_plain_loop(bundle: Path, tmp_path: Path) -> None:
    """The whole way: files, matching, prompts, encoder, search, measures, averages, report."""
    ids = image_ids(bundle)
    queries = write_queries(tmp_path / "queries.csv", ids)
    result = run(
        bundle,
        queries,
        *("--with-held-back", "--k", "10", "--k", "3"),
        *("--json", str(tmp_path / "out.json"), "--per-query", str(tmp_path / "out.csv")),
    )
    assert result.exit_code == 0, result.output
    assert "3 of 5 queries asked" in result.stdout
    assert "2 of" in result.stdout
    assert "relevant images are not in the bundle" in result.stdout
    assert "2 queries have no relevant image here and are in no average" in result.stdout
    assert "nothing: 1 images unknown" in result.stdout
    assert "AP@3" in result.stdout
    assert "AP@10" in result.stdout

    relevant = [list(range(start, len(ids), 3))[: 9 + start] for start in range(3)]
    expected = {k: by_brute_force(bundle, k, relevant) for k in (3, 10)}
    report: dict[str, Any] = msgspec.json.decode((tmp_path / "out.json").read_bytes())
    (space,) = report["spaces"]
    means = {
        (group["k"], group["value"]): group["measures"]["ap"]["mean"] for group in space["groups"]
    }
    for k, values in expected.items():
        assert means[k, ""] == pytest.approx(values.mean())
        assert means[k, "a"] == pytest.approx(values[[0, 2]].mean())
        assert means[k, "b"] == pytest.approx(values[1])
    assert report["unknown"] == 2
    assert [one["name"] for one in report["left_out"]] == ["nothing", "hidden and nothing"]

    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["k"], row["query"]) for row in rows] == [
        (k, text) for k in ("3", "10") for text in TEXTS
    ]
    assert [float(row["ap"]) for row in rows] == pytest.approx(
        [*expected[3], *expected[10]], abs=1e-6
    )
    assert {row["category"] for row in rows} == {"a", "b"}


def test_inquires_files_on_a_bundle(bundle: Path, tmp_path: Path) -> None:
    """Fullrank as it would be run: ids of the metadata are the bundle's occurrence ids."""
    (tmp_path / "inquire_queries_val.csv").write_text(
        ",query_id,query_text,supercategory,category,iconic_group\n"
        "0,13,a frog at night,Appearance,Unique appearances or morphs,Amphibians\n"
        '1,109,ducks mating,Behavior,"Mating, Courtship, Reproduction",Birds\n'
        "2,139,fungus on a log,Context,Miscellaneous Context,Fungi\n"
    )
    (tmp_path / "inquire_annotations.csv").write_text(
        "query_id,image_id,image_path\n"
        "13,urn:test:2,train/a/b.jpg\n13,urn:test:4,train/a/c.jpg\n"
        "109,urn:test:8,train/a/d.jpg\n139,17,train/a/e.jpg\n555,18,train/a/f.jpg\n"
    )
    result = run(
        bundle,
        tmp_path / "inquire_queries_val.csv",
        *("--config", str(INQUIRE), "--k", "200", "--json", str(tmp_path / "out.json")),
    )
    assert result.exit_code == 0, result.output
    for told in (
        "2 of 3 queries asked",
        "1 of 4 relevant images are not in the bundle (compared by occurrence_id)",
        "1 rows of relevant images are of queries not in the file",
        "fungus on a log: 1 images unknown",
        "supercategory: Appearance",
        "iconic_group: Birds",
    ):
        assert told in result.stdout
    report: dict[str, Any] = msgspec.json.decode((tmp_path / "out.json").read_bytes())
    groups = report["spaces"][0]["groups"]
    assert [group["queries"] for group in groups] == [2] + [1] * 6
    # There are fewer rows than hits that count, so nothing is missed.
    assert all(group["measures"]["recall"]["mean"] == 1 for group in groups)


def test_the_same_run_gives_the_same_report(bundle: Path, tmp_path: Path) -> None:
    """Intervals are drawn by a seed, so two reports differ only where something changed."""
    queries = write_queries(tmp_path / "queries.csv", image_ids(bundle))
    reports = []
    for name in ("first.json", "second.json"):
        result = run(bundle, queries, "--exact", "--json", str(tmp_path / name))
        assert result.exit_code == 0, result.output
        reports.append((tmp_path / name).read_bytes())
    assert reports[0] == reports[1]


@pytest.mark.slow
def test_every_space_is_evaluated_and_a_lost_encoder_is_said(
    tmp_path: Path, tiny_photos: Path
) -> None:
    """A space that were left out without a word would look evaluated."""
    first, second = (make_tiny_model(tmp_path / name, seed) for seed, name in ((1, "a"), (2, "b")))
    plan = write_plan(
        tmp_path / "plan.toml",
        photos=tiny_photos,
        model={"tiny": first, "second": second},
        bundle=tmp_path / "bundle",
    )
    build(read_plan(plan), Silent())
    queries = write_queries(tmp_path / "queries.csv", image_ids(tmp_path / "bundle"))
    both = run(tmp_path / "bundle", queries)
    assert "space tiny (every row scored)" in both.stdout
    assert "space second (every row scored)" in both.stdout

    # Other weights of the same shape would rank silently wrong.
    weights = second / "open_clip_model.safetensors"
    shutil.copyfile(first / weights.name, weights)
    other = run(tmp_path / "bundle", queries, "--space", "second")
    assert other.exit_code == 1
    assert "other weights" in other.stderr

    weights.unlink()
    one = run(tmp_path / "bundle", queries)
    assert one.exit_code == 0, one.output
    assert "space second is not evaluated" in one.stderr
    assert "space tiny (" in one.stdout
    assert "space second (" not in one.stdout
    named = run(tmp_path / "bundle", queries, "--space", "second")
    assert named.exit_code == 1
    assert "encoder local-dir" in named.stderr


def test_faults_are_one_line_with_the_right_exit_code(bundle: Path, tmp_path: Path) -> None:
    """2 for a file at fault, 1 for what cannot be evaluated, never a traceback."""
    ids = image_ids(bundle)
    queries = write_queries(tmp_path / "queries.csv", ids)
    broken = tmp_path / "broken.csv"
    broken.write_text(f"query,image_id\nowl,{ids[0]}\nowl\n")
    strangers = tmp_path / "strangers.csv"
    strangers.write_text(f"query,image_id\nowl,{STRANGER}\n")
    write_bundle(tmp_path / "wordless", [random_vectors(3, 4, 1)])
    wordless = tmp_path / "wordless.csv"
    wordless.write_text(f"query,image_id\nowl,{image_ids(tmp_path / 'wordless')[0]}\n")
    for result, code, told in (
        (run(bundle, broken), 2, "broken.csv:3: "),
        (run(bundle, strangers), 1, "1 images are unknown by `image_id`"),
        (run(bundle, queries, "--space", "nowhere"), 1, "no space 'nowhere'"),
        (run(bundle, queries, "--k", "0"), 2, "--k"),
        (run(tmp_path / "wordless", wordless), 1, "can be asked in words"),
    ):
        assert result.exit_code == code, result.output
        assert told in result.stderr
        assert "Traceback" not in result.output
