"""One request to a host, and what came of it: never more than was allowed, never without an end.

Knows HTTP, not how often a host may be asked. Used by many threads.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import BinaryIO, NamedTuple
from urllib.parse import urljoin

import httpx

from indexer.fetching.addresses import Address, is_public, resolved
from indexer.records import RejectReason

ROBOT = "biodiversity-atlas"
# What stores answer that do not know what they hold.
_ANY_KIND = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_MOVED = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429})
_BUSY = frozenset({429, 503})


class Saved(NamedTuple):
    """The whole body was written."""

    size_bytes: int


class Moved(NamedTuple):
    """The host names another address, which may be of another host."""

    to: str


class Refused(NamedTuple):
    """It is not to be had: asking again would not help."""

    reason: RejectReason
    detail: str


class Again(NamedTuple):
    """It may be had later. `busy`: the host asks for fewer requests, perhaps after `wait_s`."""

    detail: str
    busy: bool = False
    wait_s: float | None = None


Outcome = Saved | Moved | Refused | Again


class Client:
    """Asks hosts, and says who asks."""

    def __init__(
        self, *, contact: str, timeout_s: float, deadline_s: float, private_addresses: bool
    ) -> None:
        """`timeout_s` bounds every wait for a host, `deadline_s` a whole answer."""
        self._deadline_s = deadline_s
        self._private_addresses = private_addresses
        self._http = httpx.Client(
            headers={
                "User-Agent": f"{ROBOT}/{_version()} (+{contact})",
                # A packed body could not be compared with the length that was announced.
                "Accept-Encoding": "identity",
            },
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=None),
            follow_redirects=False,
            # Neither proxies nor passwords of whoever runs the build.
            trust_env=False,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def get(
        self, address: Address, sink: BinaryIO, *, most_bytes: int, pictures: bool = True
    ) -> Outcome:
        """Write the body of an address to `sink`; what was written counts only where it is Saved.

        `pictures`: refuse what says that it is something else.
        """
        private = self._private(address)
        if private is not None:
            return private
        try:
            with self._http.stream("GET", address.text) as response:
                return self._read(response, address, sink, most_bytes, pictures)
        except httpx.TimeoutException as error:
            return Again(f"no answer from {address.host} in time ({type(error).__name__})")
        except (httpx.TransportError, httpx.StreamError) as error:
            return Again(f"{address.host}: {error}")
        except (httpx.InvalidURL, UnicodeError) as error:
            detail = f"{address.text!r} cannot be asked for: {error}"
            return Refused(RejectReason.ADDRESS_REFUSED, detail)

    def _private(self, address: Address) -> Outcome | None:
        """Why a host may not be asked; a name must not lead into the network of the builder."""
        if self._private_addresses:
            return None
        try:
            numbers = resolved(address)
        except (OSError, UnicodeError) as error:
            return Again(f"{address.host} cannot be found: {error}")
        return None if all(map(is_public, numbers)) else _no_internet(address)

    def _read(
        self,
        response: httpx.Response,
        address: Address,
        sink: BinaryIO,
        most_bytes: int,
        pictures: bool,
    ) -> Outcome:
        # The name may have led elsewhere than a moment ago.
        stream = response.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None else None
        if not self._private_addresses and (peer is None or not is_public(str(peer[0]))):
            return _no_internet(address)
        other = _other_than_ok(response, address) or _unfit(response, address, most_bytes, pictures)
        if other is not None:
            return other
        ends_s = time.monotonic() + self._deadline_s
        size_bytes = 0
        for chunk in response.iter_raw():
            size_bytes += len(chunk)
            if size_bytes > most_bytes:
                return _too_large(address, most_bytes)
            if time.monotonic() > ends_s:
                return Again(f"{address.host} sent no whole photo in {self._deadline_s:g} s")
            sink.write(chunk)
        return Saved(size_bytes)


def _other_than_ok(response: httpx.Response, address: Address) -> Outcome | None:
    """What an answer without a photo means."""
    status = response.status_code
    if status == HTTPStatus.OK:
        return None
    if status in _MOVED and "location" in response.headers:
        return Moved(urljoin(address.text, response.headers["location"]))
    detail = f"{address.text}: {address.host} answered {status}"
    if status in _LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait_s = retry_after_s(response.headers.get("retry-after", ""), datetime.now(UTC))
        return Again(detail, busy=status in _BUSY, wait_s=wait_s)
    return Refused(RejectReason.FILE_MISSING, detail)


def _unfit(
    response: httpx.Response, address: Address, most_bytes: int, pictures: bool
) -> Refused | None:
    """Why a body is not worth reading, from what its head says of it."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if pictures and not kind.startswith("image/") and kind not in _ANY_KIND:
        return Refused(RejectReason.NOT_AN_IMAGE, f"{address.text} is {kind}")
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        return _too_large(address, most_bytes)
    return None


def retry_after_s(text: str, now: datetime) -> float | None:
    """Seconds that a Retry-After asks for, as a number or as a date (RFC 9110); None for none."""
    if text.strip().isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:  # RFC 9110 writes GMT; "-0000" says nothing
        until = until.replace(tzinfo=UTC)
    return max(math.ceil((until - now).total_seconds()), 0.0)


def _no_internet(address: Address) -> Refused:
    detail = f"{address.host} is no host of the internet; see `private_addresses`"
    return Refused(RejectReason.ADDRESS_REFUSED, detail)


def _too_large(address: Address, most_bytes: int) -> Refused:
    detail = f"{address.text} has more bytes than the {most_bytes} of the plan"
    return Refused(RejectReason.IMAGE_TOO_LARGE, detail)


def _version() -> str:
    try:
        return version(ROBOT)
    except PackageNotFoundError:  # run from its folder
        return "0"
