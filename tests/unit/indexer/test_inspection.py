"""`indexer inspect`: what it says of every kind of source, and of what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from benchmarks.inat_rows import write_dumps
from indexer.commands import indexer
from tests.unit.indexer.archives import frogs, photo, write_archive
from tests.unit.indexer.ready import write_vectors
from tests.unit.indexer.shards import catalog_row, samples, write_catalog, write_tar


def run(path: Path, *options: str) -> Result:
    """The command's outcome; anything but an exit is a failure."""
    result = CliRunner().invoke(indexer, ["inspect", str(path), *options])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def told(path: Path, *options: str) -> dict[str, Any]:
    """What is said of the only source."""
    result = run(path, "--json", *options)
    assert result.exit_code == 0, result.output
    (source,) = json.loads(result.stdout)["sources"]
    return dict(source)


def test_an_archive_is_told_of(tmp_path: Path) -> None:
    """Would break: rows, licences or places of a source are counted wrongly, or left out."""
    media = [photo(0, "https://example.org/a.jpg", "CC0"), photo(99, "b.jpg")]
    path = write_archive(tmp_path / "frogs", frogs(30), media, packed=True)
    found = told(path)
    assert (found["kind"], found["records"], found["rejects"]) == (
        "dwca",
        30,
        {"no_such_record": 1},
    )
    assert found["media_licences"] == {"not stated": 29, "CC0-1.0": 1}
    assert found["bbox"] == [7.25, 40.0, 7.25, 42.9]
    assert found["filled"]["latitude"] == 30
    assert found["filled"]["observer"] == 0
    said = run(path).stdout
    assert "31 rows" in said
    assert "1 no_such_record, such as multimedia.txt:3" in said
    assert "a build takes about" in said


def test_other_kinds_are_recognised(tmp_path: Path) -> None:
    """Would break: a folder of dumps, a table or vectors are taken for something else."""
    write_dumps(tmp_path / "dumps", 2_000, faults=2)
    dumps = told(tmp_path / "dumps")
    assert (dumps["kind"], dumps["rows_read"]) == ("inat_open_data", dumps["rows"])
    assert dumps["rejects"]["no_such_record"] == 2
    (tmp_path / "t.csv").write_text("occurrenceID,eventDate\na,2020-01-05\nb,2021-02-03\n")
    table = told(tmp_path / "t.csv")
    assert (table["kind"], table["first_day"], table["last_day"]) == (
        "records",
        "2020-01-05",
        "2021-02-03",
    )
    write_catalog(tmp_path / "tol", [catalog_row(number) for number in range(3)])
    write_tar(tmp_path / "tol/shards/0.tar", samples([0, 1, 2, 3]))
    # A quarter of it would be refused, which no plan tolerates by default.
    tree = run(tmp_path / "tol", "--json")
    assert tree.exit_code == 2
    (shards,) = json.loads(tree.stdout)["sources"]
    assert (shards["kind"], shards["records"]) == ("tree_of_life", 3)
    assert shards["rejects"] == {"no_such_record": 1}
    write_vectors(tmp_path / "v.parquet", 50, seed=1)
    assert told(tmp_path / "v.parquet")["kind"] == "embeddings"


def test_a_list_of_addresses_is_told_of_and_not_fetched(tmp_path: Path) -> None:
    """Would break: a look at a list asks its hosts, or says nothing of the addresses it has."""
    (tmp_path / "photos.csv").write_text(
        "scientificName,mediaURL,mediaLicense\n"
        "Hyla arborea,http://127.0.0.1:9/a.jpg,CC0\n"
        "Hyla arborea,nowhere,CC BY 4.0\n"
    )
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[atlas]\ntitle = "A"\n[output]\nbundle = "b"\n[[sources]]\nkind = "urls"\nkey = "web"\n'
        'title = "W"\npath = "photos.csv"\ncontact = "ann@example.org"\n'
        '[[spaces]]\nname = "s"\nencoder = "local-dir:model"\n[rejects]\nmax_share = 0.5\n'
    )
    found = told(plan)
    assert (found["kind"], found["rows"], found["records"]) == ("urls", 2, 1)
    assert found["rejects"] == {"address_refused": 1}
    assert found["filled"]["media_ref"] == 1
    assert found["media_licences"] == {"CC0-1.0": 1}


def test_a_sample_is_read_where_there_are_many_rows(tmp_path: Path) -> None:
    """Would break: a look into hundreds of millions of rows takes as long as a build."""
    write_dumps(tmp_path / "dumps", 150_000)
    found = told(tmp_path / "dumps", "--rows", "10")
    assert found["rows_read"] < found["rows"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("occurrenceID,kingdom\na\nb\n", "all 2 rows would be refused: 2 ragged_row"),
        ("occurrenceID,kingdom\na,b\nc\n", "1 of 2 rows would be refused"),
        ("occurrenceID\n", "hold no rows"),
        ("foo,bar\n1,2\n", "no column that the atlas reads"),
    ],
)
def test_what_cannot_be_built_is_said_in_words(tmp_path: Path, content: str, words: str) -> None:
    """Would break: somebody starts a build that cannot end well, or reads a stack trace."""
    (tmp_path / "t.csv").write_text(content)
    result = run(tmp_path / "t.csv")
    assert result.exit_code == 2
    assert words in result.output


@pytest.mark.parametrize("name", ["none.csv", "none.zip", "none", "plan.toml", "photo.jpg"])
def test_what_is_not_there_is_said_in_words(tmp_path: Path, name: str) -> None:
    """Would break: a wrong path ends in a stack trace."""
    result = run(tmp_path / name)
    assert result.exit_code == 2
    assert name in result.output
