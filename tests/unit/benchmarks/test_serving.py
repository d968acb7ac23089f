"""The benchmark of the server: different questions, a server of its own, records of one shape."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.load import LOOPBACK
from benchmarks.serving import (
    MOST_QUESTIONS,
    ServerFailedError,
    free_port,
    main,
    questions,
    running_server,
)


def test_questions_differ_and_follow_from_the_seed() -> None:
    """A question asked twice may be answered from a cache, and would be measured as such."""
    asked = questions(2000, seed=3)
    assert len(set(asked)) == 2000
    assert asked == questions(2000, seed=3)
    assert asked != questions(2000, seed=4)
    assert len(set(questions(MOST_QUESTIONS, seed=0))) == MOST_QUESTIONS


def test_more_questions_than_there_are_is_refused() -> None:
    """Filling up with repeated questions would make the numbers better than they are."""
    with pytest.raises(ValueError, match=str(MOST_QUESTIONS)):
        questions(MOST_QUESTIONS + 1, seed=0)
    result = CliRunner().invoke(main, ["--bundle", ".", "--requests", str(MOST_QUESTIONS)])
    assert result.exit_code == 2
    assert "different questions" in result.output


@pytest.mark.parametrize("clients", ["0", "1,two", "1,,2", "500"])
def test_numbers_of_clients_are_checked(clients: str) -> None:
    """A slip in a list of numbers must not end in a trace."""
    result = CliRunner().invoke(main, ["--bundle", ".", "--clients", clients])
    assert result.exit_code == 2


def test_a_free_port_can_be_bound() -> None:
    """A port that is taken would measure somebody else's server."""
    with socket.socket() as mine:
        mine.bind((LOOPBACK, free_port()))


@pytest.mark.slow
def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """Waiting for a server that has ended would hide the reason behind a time-out."""
    with (
        pytest.raises(ServerFailedError, match=r"(?s)exit code 2.*CURRENT"),
        running_server(tmp_path, None, start_s=60),
    ):
        pytest.fail("no server can run without a bundle")


@pytest.mark.slow
def test_a_real_server_is_measured_and_stopped(tmp_path: Path, tiny_bundle: Path) -> None:
    """The shape of the records is what the performance pages are made from."""
    path = tmp_path / "serving.json"
    options = ["--bundle", str(tiny_bundle), "--clients", "1,4", "--requests", "8"]
    result = CliRunner().invoke(main, [*options, "--json", str(path)])
    assert result.exit_code == 0, result.output
    records = json.loads(path.read_text())
    assert [record["clients"] for record in records] == [1, 4]
    for record in records:
        assert record["benchmark"] == "serving"
        assert record["system"] == "atlas"
        assert (record["requests"], record["errors"]) == (8, 0)
        assert 0 < record["p50_ms"] <= record["p90_ms"] <= record["p99_ms"]
        assert record["requests_per_s"] > 0
