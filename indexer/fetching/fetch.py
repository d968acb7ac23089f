"""Fetches many photos from many hosts: each host at its own pace, none waiting for another.

Threads share the hosts under one lock, which is never held while a host is asked. Addresses are
taken from an iterator as they are needed, so memory does not grow with their number.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from indexer.fetching.addresses import Address, parsed, problem_of
from indexer.fetching.client import Again, Client, Moved, Outcome, Refused, Saved
from indexer.fetching.hosts import Host, Limits, Wanted
from indexer.fetching.photo_cache import Fault, PhotoCache
from indexer.records import RejectReason

# Addresses that wait at once: a slow host holds up to so many of its own before others wait for it.
_MOST_WAITING = 100_000
_MOST_HOPS = 5
_ROBOTS_BYTES = 500 * 1024  # RFC 9309: at least this much of a robots.txt has to be read
# Being told of nothing to do, a thread looks again after this time at the latest.
_LONGEST_PAUSE_S = 1.0


class Manners(NamedTuple):
    """How hosts are treated. `hosts` are exceptions from `limits` by name."""

    limits: Limits
    hosts: Mapping[str, Limits]
    threads: int
    tries: int
    retry_wait_s: float
    longest_wait_s: float
    give_up_after: int
    most_bytes: int


class Fetch:
    """One run over a list of addresses."""

    def __init__(
        self,
        addresses: Iterator[str],
        cache: PhotoCache,
        client: Client,
        manners: Manners,
        advance: Callable[[int], None],
    ) -> None:
        self._addresses: Iterator[str] | None = addresses
        self._cache = cache
        self._client = client
        self._manners = manners
        self._advance = advance
        self._hosts: dict[str, Host] = {}
        self._pending: set[str] = set()
        self._changed = threading.Condition()
        self._stopped = False

    def run(self) -> None:
        """Until every address has its photo or its fault in the cache."""
        with ThreadPoolExecutor(self._manners.threads, "fetch") as pool:
            working = [pool.submit(self._work) for _ in range(self._manners.threads)]
            try:
                for thread in working:
                    thread.result()
            finally:
                self._stop()

    def _work(self) -> None:
        try:
            while (step := self._next()) is not None:
                host, wanted = step
                if host.knows_robots_of(wanted.at.origin):
                    self._photo(host, wanted)
                else:
                    self._robots(host, wanted)
        except BaseException:
            self._stop()  # the others would go on for as long as the list is
            raise

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _next(self) -> tuple[Host, Wanted] | None:
        """The next that may be asked for, waited for where none may yet; None at the end."""
        with self._changed:
            while not self._stopped:
                self._take_addresses()
                now_s = time.monotonic()
                free = [host for host in self._hosts.values() if host.is_free()]
                first = min(free, key=lambda host: host.next_s, default=None)
                if first is not None and first.next_s <= now_s:
                    wanted = first.start(now_s)
                    first.asking_robots = not first.knows_robots_of(wanted.at.origin)
                    return first, wanted
                if not self._pending:
                    break
                pause_s = _LONGEST_PAUSE_S if first is None else first.next_s - now_s
                self._changed.wait(min(pause_s, _LONGEST_PAUSE_S))
            self._changed.notify_all()
            return None

    def _take_addresses(self) -> None:
        """Fill up the waiting lines. Addresses that are settled, or came before, only count."""
        while self._addresses is not None and len(self._pending) < _MOST_WAITING:
            text = next(self._addresses, None)
            if text is None:
                self._addresses = None
                return
            address = parsed(text)
            if text in self._pending or self._cache.is_settled(text):
                self._advance(1)
            elif address is None:
                self._pending.add(text)
                self._settle_fault(text, *(problem_of(text) or _UNREADABLE), lasting=True)
            else:
                self._pending.add(text)
                self._line_up(Wanted(text, address))

    def _line_up(self, wanted: Wanted) -> None:
        name = wanted.at.host
        if name not in self._hosts:
            self._hosts[name] = Host(self._manners.hosts.get(name, self._manners.limits))
        host = self._hosts[name]
        if host.given_up:
            self._settle_fault(
                wanted.of, RejectReason.DOWNLOAD_FAILED, host.given_up, lasting=False
            )
        else:
            host.waiting.append(wanted)

    def _robots(self, host: Host, wanted: Wanted) -> None:
        """Read the rules of a server before anything else of it."""
        outcome, text = self._robots_of(wanted.at)
        with self._changed:
            host.running -= 1
            host.asking_robots = False
            host.waiting.appendleft(wanted)
            if isinstance(outcome, Again):
                # RFC 9309: a server whose rules cannot be had is not to be asked for more.
                detail = f"its robots.txt cannot be read: {outcome.detail}"
                self._failed(host, outcome._replace(detail=detail))
            else:
                host.failures = 0
                host.obey(wanted.at.origin, text)
                host.rest(time.monotonic())
            self._dismiss(host)
            self._changed.notify_all()

    def _robots_of(self, address: Address) -> tuple[Outcome, str]:
        """The text of a robots.txt, "" where the server has none."""
        at = parsed(f"{address.origin}/robots.txt")
        for _ in range(_MOST_HOPS):
            if at is None:
                break
            sink = io.BytesIO()
            outcome = self._client.get(at, sink, most_bytes=_ROBOTS_BYTES, pictures=False)
            if not isinstance(outcome, Moved):
                whole = isinstance(outcome, Saved)
                return outcome, sink.getvalue().decode("utf-8", "replace") if whole else ""
            at = parsed(outcome.to)
        return Refused(RejectReason.FILE_MISSING, "moved without end"), ""

    def _photo(self, host: Host, wanted: Wanted) -> None:
        if host.allows(wanted.at):
            outcome = self._asked(wanted)
        else:
            detail = f"the robots.txt of {wanted.at.host} forbids {wanted.at.text}"
            outcome = Refused(RejectReason.ADDRESS_REFUSED, detail)
        with self._changed:
            host.running -= 1
            if isinstance(outcome, Again):
                self._again(host, wanted, outcome)
            else:
                host.failures = 0
                if isinstance(outcome, Saved):
                    self._settle(wanted.of)
                elif isinstance(outcome, Moved):
                    self._follow(wanted, outcome.to)
                else:
                    # The plan's limit of size may be another one the next time.
                    lasting = outcome.reason != RejectReason.IMAGE_TOO_LARGE
                    self._settle_fault(wanted.of, outcome.reason, outcome.detail, lasting=lasting)
            self._dismiss(host)
            self._changed.notify_all()

    def _asked(self, wanted: Wanted) -> Outcome:
        try:
            with self._cache.writing(wanted.of) as file:
                outcome = self._client.get(wanted.at, file, most_bytes=self._manners.most_bytes)
                return _whole(outcome)
        except _NotWhole as error:
            return error.outcome

    def _follow(self, wanted: Wanted, to: str) -> None:
        address = parsed(to)
        if address is None:
            detail = f"{wanted.of} leads to {to!r}, which is no address of the web"
            self._settle_fault(wanted.of, RejectReason.ADDRESS_REFUSED, detail, lasting=True)
        elif wanted.hops >= _MOST_HOPS:
            detail = f"{wanted.of} was moved more than {_MOST_HOPS} times"
            self._settle_fault(wanted.of, RejectReason.FILE_MISSING, detail, lasting=True)
        else:
            self._line_up(wanted._replace(at=address, hops=wanted.hops + 1))

    def _again(self, host: Host, wanted: Wanted, outcome: Again) -> None:
        """Line up once more, or give the photo up; its host is left alone for a while."""
        tries = wanted.tries + 1
        if tries >= self._manners.tries:
            detail = f"{outcome.detail}; tried {tries} times"
            self._settle_fault(wanted.of, RejectReason.DOWNLOAD_FAILED, detail, lasting=False)
        else:
            host.waiting.append(wanted._replace(tries=tries))
        self._failed(host, outcome)

    def _failed(self, host: Host, outcome: Again) -> None:
        """Wait twice as long after every failure in a row, or as long as the host says."""
        host.failures += 1
        if outcome.busy:
            host.slow_down()
        wait_s = self._manners.retry_wait_s * 2.0 ** min(host.failures - 1, 16)
        wait_s = min(wait_s, self._manners.longest_wait_s)
        if outcome.wait_s is not None:
            wait_s = max(wait_s, outcome.wait_s)
        host.wait(time.monotonic() + wait_s)
        why = ""
        if wait_s > self._manners.longest_wait_s:
            why = f"{outcome.detail} and asks for {wait_s:.0f} s of rest"
        elif host.failures >= self._manners.give_up_after:
            why = f"{outcome.detail}; {host.failures} failures in a row"
        if why and not host.given_up:
            host.given_up = f"given up for this build: {why}"

    def _dismiss(self, host: Host) -> None:
        """Everything that waits for a host that was given up waits for another build."""
        while host.given_up and host.waiting:
            of = host.waiting.popleft().of
            self._settle_fault(of, RejectReason.DOWNLOAD_FAILED, host.given_up, lasting=False)

    def _settle_fault(self, of: str, reason: RejectReason, detail: str, *, lasting: bool) -> None:
        self._cache.fail(of, Fault(reason=reason, detail=detail, lasting=lasting))
        self._settle(of)

    def _settle(self, of: str) -> None:
        self._pending.discard(of)
        self._advance(1)


_UNREADABLE = (RejectReason.ADDRESS_REFUSED, "is no address")


class _NotWhole(Exception):
    """Lets go of a file that was begun."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def _whole(outcome: Outcome) -> Saved:
    if isinstance(outcome, Saved):
        return outcome
    raise _NotWhole(outcome)
