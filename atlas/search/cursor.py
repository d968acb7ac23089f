"""Where a walk through the pages of one question has got to, as a short opaque text.

A cursor is bound to its question by a digest, so that it cannot be used with another one. It is
not a secret and grants nothing. Pure: safe from any thread.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from atlas.errors import InvalidQuery

_FIELD = "cursor"
_DIGEST_BYTES = 12
_MAX_TEXT = 200


class _Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    position: int
    digest: bytes


def digest_of(parts: Iterable[bytes]) -> bytes:
    """A digest of a question's parts; the same bytes cut differently give another digest."""
    state = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.digest()


def write_cursor(position: int, digest: bytes) -> str:
    """Text for "go on after `position` hits" of the question with this digest."""
    packed = msgspec.msgpack.encode(_Place(position, digest))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")


def read_cursor(text: str, digest: bytes, *, matching: int) -> int:
    """The number of hits already given; InvalidQuery when the cursor does not fit the question."""
    try:
        if len(text) > _MAX_TEXT:
            raise InvalidQuery(_FIELD, "this is not a cursor that this atlas gave")
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        place = msgspec.msgpack.decode(packed, type=_Place)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise InvalidQuery(_FIELD, "this is not a cursor that this atlas gave") from error
    if place.digest != digest:
        raise InvalidQuery(
            _FIELD, "this cursor belongs to another question or to an earlier state of the atlas"
        )
    if not 0 < place.position < max(matching, 1):
        raise InvalidQuery(_FIELD, "this is not a cursor that this atlas gave")
    return place.position
