"""Which addresses may be asked for: those of the web, and none of a private network.

Asks the name service, opens nothing. Safe from any thread.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from indexer.records import RejectReason

_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """An address of the web in its parts; `host` is in lower case, `origin` names the server."""

    text: str
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """Scheme, host and port, as of one robots.txt."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parsed(text: str) -> Address | None:
    """The address; None where it is none of http or https, or names a user."""
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(parts.scheme, 0)
        host = (parts.hostname or "").rstrip(".")
        host.encode("idna" if not host.isascii() else "ascii")
    except ValueError:
        return None
    if not port or not host or parts.username is not None or not text.isprintable():
        return None
    return Address(text, parts.scheme, host, port)


def problem_of(text: str) -> tuple[RejectReason, str] | None:
    """Why an address can never be asked for; None where it may be."""
    if not text:
        return RejectReason.NO_FILE_NAMED, "names no photo"
    if parsed(text) is None:
        return RejectReason.ADDRESS_REFUSED, f"{text!r} is no address that begins with http(s)://"
    return None


def resolved(address: Address) -> list[str]:
    """The numbers of a host. Raises OSError where its name is not known."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def is_public(number: str) -> bool:
    """Whether a number of a host belongs to the internet, not to some network of its own."""
    found = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_global and not found.is_multicast
