"""`atlas search` on the command line: the same answers as the API, for people and for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from litestar import Litestar
from litestar.testing import TestClient

from atlas.commands import main


def run(bundle: Path, *arguments: str) -> Result:
    """`atlas search` with these arguments."""
    return CliRunner().invoke(
        main, ["search", *arguments, "--bundle", str(bundle)], env={"COLUMNS": "200"}
    )


def test_json_is_the_apis_answer(tiny_bundle: Path, client: TestClient[Litestar]) -> None:
    """A script that moves from the command line to the API must not change."""
    result = run(tiny_bundle, "red frog", "--limit", "4", "--json")
    assert result.exit_code == 0, result.output
    printed: dict[str, Any] = msgspec.json.decode(result.stdout)
    served = client.get("/v1/search?text=red frog&limit=4").json()
    assert printed["hits"] == served["hits"]
    assert printed.keys() == served.keys()


def test_table_is_readable(tiny_bundle: Path) -> None:
    """Names, place, day and credit of each hit, and what was searched."""
    result = run(
        tiny_bundle,
        "a frog",
        "--taxon",
        "Anura",
        "--bbox",
        "-90,0,10,60",
        "--months",
        "1,2,3,4,5,6,7",
    )
    assert result.exit_code == 0, result.output
    assert "photos that pass the filter" in result.stdout
    assert "Holder" in result.stdout
    assert "demonstration" in result.stdout
    assert "2016-" in result.stdout


def test_by_picture(tiny_bundle: Path, tiny_photos: Path) -> None:
    """A photo from disk takes the same way as an upload."""
    photo = tiny_photos / "photos" / "0003.png"
    result = run(tiny_bundle, "--image", str(photo), "--limit", "1", "--json")
    assert result.exit_code == 0, result.output
    assert msgspec.json.decode(result.stdout)["hits"][0]["score"] > 0.99


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("something green", "--taxon", "Anuraa"), "taxon"),
        (("something green", "--bbox", "1,50,2,40"), "bbox"),
        (("something green", "--from", "May"), "from"),
        (("something green", "--space", "nowhere"), "space"),
        ((), "TEXT or --image"),
    ],
)
def test_faults_are_one_line(tiny_bundle: Path, arguments: tuple[str, ...], named: str) -> None:
    """What is wrong is named, without a traceback; the exit code says so too."""
    result = run(tiny_bundle, *arguments)
    assert result.exit_code == 2
    assert named in result.stderr
    assert "Traceback" not in result.output


def test_explain_says_what_was_done(tiny_bundle: Path) -> None:
    """Somebody whose search is slow reads here why."""
    result = run(tiny_bundle, "a frog", "--taxon", "Anura", "--recall", "0.9", "--explain")
    assert result.exit_code == 0, result.output
    assert "passing" in result.stdout
    assert "this segment has no index" in result.stdout


def test_understanding_is_printed_before_the_hits(tiny_bundle: Path) -> None:
    """Somebody who is not told what was understood cannot correct it."""
    words = "frogs near rivers in Costa Rica since 2017"
    result = run(tiny_bundle, words, "--limit", "3")
    assert result.exit_code == 0, result.output
    understood, _, _ = result.stdout.partition("photos that pass the filter")
    for part in ("Anura", "near rivers", "country CR", "from 2017-01-01", "no layer of rivers"):
        assert part in understood
    off = ("--without", "taxon", "--without", "time:31", "--json")
    spans = msgspec.json.decode(run(tiny_bundle, words, *off).stdout)["interpretation"]["spans"]
    assert {span["kind"]: span["applied"] for span in spans} == {
        "taxon": False, "near": False, "within": False, "time": True
    }  # fmt: skip
    assert "Anura" not in run(tiny_bundle, words, "--as-typed").stdout.partition("score")[0]


def test_help_names_every_command() -> None:
    """Somebody who types --help finds the way."""
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for command in ("serve", "search", "gaps", "openapi"):
        assert command in result.stdout


def test_spaces_and_diversity(twin_bundle: Path) -> None:
    """What the API can be asked, the command can be asked."""
    arguments = (
        "something green",
        "--diversify",
        "species",
        "--collapse",
        "--limit",
        "4",
        "--json",
    )
    fused = msgspec.json.decode(run(twin_bundle, *arguments).stdout)
    assert fused["spaces"] == ["tiny", "wide"]
    names = [hit["taxon"]["scientific_name"] for hit in fused["hits"]]
    assert len(names) == len(set(names)) == 4
    alone = msgspec.json.decode(run(twin_bundle, *arguments, "--space", "wide").stdout)
    assert alone["spaces"] == ["wide"]
    assert [space["space"] for space in alone["hits"][0]["spaces"]] == ["wide"]
    result = run(twin_bundle, "something green", "--limit", "2")
    assert "fused" in result.stdout
