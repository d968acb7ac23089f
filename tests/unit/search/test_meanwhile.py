"""Work beside a search: it goes on while the search does, and its errors are not lost."""

from __future__ import annotations

import os
from threading import Event

import pytest

from atlas.search.meanwhile import meanwhile


def test_work_does_not_wait_for_who_asked() -> None:
    """The search goes on while rows are counted."""
    asked = Event()
    counted = meanwhile(lambda: asked.wait(10) and 7)
    asked.set()
    assert counted.result(10) == 7


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    """A layer's file that is missing must not look like rows that can all be judged."""

    def fail() -> int:
        raise OSError("damaged")

    with pytest.raises(OSError, match="damaged"):
        meanwhile(fail).result(10)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    """A server that forks its workers would wait for ever for its parent's threads."""
    assert meanwhile(lambda: 1).result(10) == 1
    child = os.fork()
    if child == 0:
        os._exit(meanwhile(lambda: 3).result(10))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3
