"""How often one host may be asked, and the addresses that wait for it.

Knows no HTTP. Not locked: its one owner is `indexer.fetching.fetch`, under a lock of its own.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from protego import Protego

from indexer.fetching.addresses import Address
from indexer.fetching.client import ROBOT

# A host that says it is busy is asked half as often from then on, to once in this time.
_SLOWEST_S = 60.0


class Limits(NamedTuple):
    """Of one host: requests at once, and seconds from the start of one to the start of the next."""

    connections: int
    interval_s: float


class Wanted(NamedTuple):
    """A photo that is wanted: by its own address, and the one it was moved to."""

    of: str
    at: Address
    hops: int = 0
    tries: int = 0


class Host:
    """One host: its limits, its rules for robots, and who waits for it."""

    def __init__(self, limits: Limits) -> None:
        self.waiting: deque[Wanted] = deque()
        self.running = 0
        self.next_s = 0.0
        self.failures = 0
        self.given_up = ""
        self._connections = limits.connections
        self._interval_s = limits.interval_s
        self._robots: dict[str, Protego] = {}
        self.asking_robots = False

    def is_free(self) -> bool:
        """Whether one more request may run beside those that do."""
        return bool(self.waiting) and self.running < self._connections and not self.asking_robots

    def start(self, now_s: float) -> Wanted:
        """Take the first that waits; the next may start an interval later."""
        self.running += 1
        self.next_s = max(self.next_s, now_s) + self._interval_s
        return self.waiting.popleft()

    def rest(self, now_s: float) -> None:
        """Ask nothing before the interval from now is over."""
        self.wait(now_s + self._interval_s)

    def wait(self, until_s: float) -> None:
        """Ask nothing before a time."""
        self.next_s = max(self.next_s, until_s)

    def slow_down(self) -> None:
        """Ask half as often."""
        self._interval_s = min(max(2 * self._interval_s, 0.1), max(_SLOWEST_S, self._interval_s))

    def knows_robots_of(self, origin: str) -> bool:
        """Whether the robots.txt of a server of this host has been read."""
        return origin in self._robots

    def obey(self, origin: str, text: str) -> None:
        """Take the rules of a robots.txt: one request at a time where it asks for a delay."""
        rules = Protego.parse(text)
        self._robots[origin] = rules
        delay_s = float(rules.crawl_delay(ROBOT) or 0.0)
        rate = rules.request_rate(ROBOT)
        if rate is not None and rate.requests:
            delay_s = max(delay_s, rate.seconds / rate.requests)
        if delay_s:
            self._connections = 1
            self._interval_s = max(self._interval_s, delay_s)

    def allows(self, address: Address) -> bool:
        """Whether the host lets robots have an address."""
        return bool(self._robots[address.origin].can_fetch(address.text, ROBOT))
