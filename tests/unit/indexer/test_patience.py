"""Reads with an end to waiting."""

from __future__ import annotations

import threading
import time

import pytest

from indexer.embedding.patience import Patience


def test_what_is_read_in_time_is_what_comes() -> None:
    """Would break: a photo is given another's bytes, or an error of the disk is swallowed."""
    patience = Patience(30.0)
    assert [patience.read(str.encode, name) for name in ("a", "b")] == [b"a", b"b"]
    with pytest.raises(LookupError, match="ascii"):
        patience.read(lambda name: name.encode("no such ascii"), "c")
    assert patience.read(str.encode, "d") == b"d"


def test_a_read_that_hangs_is_left_to_itself() -> None:
    """Would break: a build hangs with its store, or the late answer is taken for the next one."""
    patience, go_on = Patience(0.05), threading.Event()

    def hang(name: str) -> bytes:
        go_on.wait(60)
        return name.encode()

    begun_s = time.monotonic()
    with pytest.raises(TimeoutError, match=r"gave nothing for 0\.05 s \(workers\.stall_s\)"):
        patience.read(hang, "late")
    assert time.monotonic() - begun_s < 30
    go_on.set()
    assert Patience(30.0).read(str.encode, "a") == b"a"
    for name in ("next", "and next"):
        assert patience.read(str.encode, name) == name.encode()
