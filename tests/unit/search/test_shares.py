"""Long passes over rows in shares: every row once, in order, errors not lost."""

from __future__ import annotations

from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.search.shares import in_shares, meanwhile


@settings(deadline=None)
@given(st.integers(0, 5_000), st.integers(0, 20_000), st.sampled_from([8, 64, 4_096]))
def test_every_row_is_in_one_share(begin: int, rows: int, step: int) -> None:
    """A row in two shares would be counted twice, one in none would never pass."""
    shares = in_shares(lambda first, last: (first, last), begin, begin + rows, step)
    assert shares[0][0] == begin
    assert shares[-1][1] == begin + rows
    assert [last for _, last in shares[:-1]] == [first for first, _ in shares[1:]]
    assert all((first - begin) % step == 0 for first, _ in shares)


def test_an_error_in_a_share_is_raised() -> None:
    """A layer's file that is missing must not look like rows that do not pass."""

    def fail(first: int, _last: int) -> None:
        if first:
            raise OSError("damaged")

    with pytest.raises(OSError, match="damaged"):
        in_shares(fail, 8, 80_000, 8)


def test_what_is_done_meanwhile_does_not_wait_for_who_asked() -> None:
    """The search goes on while rows are counted."""
    asked = Event()
    counted = meanwhile(lambda: asked.wait(10) and 7)
    asked.set()
    assert counted.result() == 7
