"""Writes the layer of a Mapbox vector tile (version 2.1) from arrays, all features at once.

Knows the wire format and nothing of maps. The protobuf library writes what there is one of; what
there is a thousand of is written as arrays: the library takes 5 microseconds a feature. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from mapbox_vector_tile.Mapbox import vector_tile_pb2
from numpy.typing import NDArray

from atlas.geo.outlines import Flags, Integers, segments

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

POLYGON = 3
# Keys of the wire format: field number << 3 | kind, where 0 is a varint, 1 and 5 are eight and
# four bytes, 2 is a length with as many bytes.
_TILE_LAYER = 3 << 3 | 2
_LAYER_FEATURE, _LAYER_VALUE = 2 << 3 | 2, 4 << 3 | 2
_FEATURE_TAGS, _FEATURE_TYPE, _FEATURE_GEOMETRY = 2 << 3 | 2, 3 << 3, 4 << 3 | 2
_TEXT, _FLOAT, _DOUBLE, _INTEGER, _UNSIGNED, _BOOLEAN = (
    1 << 3 | 2, 2 << 3 | 5, 3 << 3 | 1, 4 << 3, 5 << 3, 7 << 3,
)  # fmt: skip
_VARINT_BYTES = 10


class Geometries(NamedTuple):
    """Drawing commands of n features: feature i owns `command[start[i]:start[i + 1]]`."""

    command: Integers
    start: Integers


def encode_tile(
    layer: str, extent: int, geometry: Geometries, properties: Mapping[str, NDArray[Any]]
) -> bytes:
    """A vector tile with one layer of polygons; `properties` are arrays (n,), one value a feature.

    They hold numbers, booleans or text; NaN, None and what is masked leave a property out of a
    feature. Raises `ValueError` for a type that a tile cannot hold.
    """
    message = vector_tile_pb2.tile.layer(name=layer, version=2, extent=extent)
    message.keys.extend(properties)
    values: list[Bytes] = []
    tags: list[tuple[Integers, Integers]] = []
    first = 0
    for name, column in properties.items():
        written, number, known = _values(column, name)
        values.append(written)
        tags.append((np.where(known, number + first, -1), known.astype(np.int64)))
        first += int(number[known].max(initial=-1)) + 1
    features = _features(geometry, [number for number, _ in tags])
    # The fields of a message may come in any order, so what follows need not be known before.
    body = b"".join([message.SerializeToString(), *(part.tobytes() for part in values), features])
    return bytes([_TILE_LAYER]) + _varint(len(body)) + body


def _features(geometry: Geometries, tags: list[Integers]) -> bytes:
    """All features as one stream of varints: lengths and keys are varints too."""
    count = len(geometry.start) - 1
    pairs = np.stack(tags, axis=1) if tags else np.zeros((count, 0), np.int64)
    present = pairs >= 0
    keys = np.broadcast_to(np.arange(pairs.shape[1]), pairs.shape)
    tag = np.stack([keys, pairs], axis=2)[present].ravel()
    tag_start, _ = segments(2 * present.sum(axis=1))
    _, tag_size = _varints(tag.astype(np.uint64))
    _, command_size = _varints(geometry.command.astype(np.uint64))
    tag_bytes, command_bytes = _sums(tag_size, tag_start), _sums(command_size, geometry.start)
    inner = [
        np.full(count, _FEATURE_TAGS), tag_bytes, np.full(count, _FEATURE_TYPE),
        np.full(count, POLYGON), np.full(count, _FEATURE_GEOMETRY), command_bytes,
    ]  # fmt: skip
    head = np.stack([np.zeros(count, np.int64)] * 2 + inner, axis=1).astype(np.uint64)
    head[:, 0] = _LAYER_FEATURE
    sizes = _varints(head[:, 2:].ravel())[1].reshape(count, 6).sum(axis=1)
    head[:, 1] = sizes + tag_bytes + command_bytes
    # Order of a feature's words: four of its head and its tags, four more and its commands.
    lengths = np.stack(
        [np.full(count, 4), np.diff(tag_start), np.full(count, 4), np.diff(geometry.start)], axis=1
    )
    begin, _ = segments(lengths.ravel())
    stream = np.zeros(begin[-1], np.uint64)
    block = begin[:-1].reshape(count, 4)
    for place in range(4):
        stream[block[:, 0] + place] = head[:, place]
        stream[block[:, 2] + place] = head[:, 4 + place]
    stream[_within(block[:, 1], tag_start)] = tag
    stream[_within(block[:, 3], geometry.start)] = geometry.command
    return _varints(stream)[0].tobytes()


def _within(begin: Integers, start: Integers) -> Integers:
    """Positions of groups' members, of groups that stand at `begin` in the whole."""
    lengths = np.diff(start)
    return np.repeat(begin - start[:-1], lengths) + np.arange(start[-1])


def _sums(sizes: Integers, start: Integers) -> Integers:
    total = np.concatenate(([0], np.cumsum(sizes)))
    found: Integers = total[start[1:]] - total[start[:-1]]
    return found


def _varints(values: Words) -> tuple[Bytes, Integers]:
    """Numbers in base 128, low digits first, all but the last marked; and the bytes of each."""
    digits = np.arange(_VARINT_BYTES, dtype=np.uint64) * np.uint64(7)
    longest = int(values.max(initial=0)).bit_length()
    digits = digits[: max(1, -(-longest // 7))]
    size = np.ones(len(values), np.int64)
    for shift in digits[1:]:
        size += values >= np.uint64(1) << shift
    column = (values[:, None] >> digits).astype(np.uint8) & np.uint8(0x7F)
    place = np.arange(len(digits))
    column |= (place < size[:, None] - 1).astype(np.uint8) << 7
    return column[place < size[:, None]], size


def _values(column: NDArray[Any], name: str) -> tuple[Bytes, Integers, Flags]:
    """The column's distinct values on the wire, each row's number among them, and who has one."""
    known = _known(column)
    distinct, inverse = np.unique(np.asarray(column)[known], return_inverse=True)
    number = np.zeros(len(column), np.int64)
    number[known] = inverse
    kind = column.dtype.kind
    if kind in "UO":
        return _text(distinct), number, known
    if kind == "f":
        return _fixed(distinct), number, known
    if kind not in "iub":
        raise ValueError(
            f"property {name} has type {column.dtype}, which a vector tile cannot hold"
        )
    key = {"i": _INTEGER, "u": _UNSIGNED, "b": _BOOLEAN}[kind]
    words = distinct.astype(np.int64).view(np.uint64) if kind != "u" else distinct.astype(np.uint64)
    _, size = _varints(words)
    head = np.stack(
        [np.full(len(words), _LAYER_VALUE), 1 + size, np.full(len(words), key)], axis=1
    ).astype(np.uint64)
    return _varints(np.concatenate([head, words[:, None]], axis=1).ravel())[0], number, known


def _fixed(values: NDArray[Any]) -> Bytes:
    """Floating-point values: the wire holds them as the machine does, low byte first."""
    key, kind = (_FLOAT, "<f4") if values.dtype.itemsize <= 4 else (_DOUBLE, "<f8")
    raw = np.frombuffer(values.astype(kind).tobytes(), np.uint8).reshape(len(values), int(kind[-1]))
    head = np.array([_LAYER_VALUE, 1 + raw.shape[1], key], np.uint8)
    return np.concatenate([np.broadcast_to(head, (len(values), 3)), raw], axis=1).ravel()


def _text(values: NDArray[Any]) -> Bytes:
    written = [value.encode() for value in values.tolist()]
    heads = {size: _text_head(size) for size in {len(text) for text in written}}
    return np.frombuffer(b"".join([heads[len(text)] + text for text in written]), np.uint8)


def _text_head(size: int) -> bytes:
    inner = bytes([_TEXT]) + _varint(size)
    return bytes([_LAYER_VALUE]) + _varint(len(inner) + size) + inner


def _varint(number: int) -> bytes:
    if number < 128:
        return bytes([number])
    return bytes([number & 0x7F | 0x80]) + _varint(number >> 7)


def _known(values: NDArray[Any]) -> Flags:
    plain = np.asarray(values)
    missing = np.zeros(len(plain), np.bool_)
    if plain.dtype.kind == "f":
        missing = np.isnan(plain)
    elif plain.dtype.kind == "O":
        missing = np.array([value is None for value in plain.tolist()], np.bool_)
    known: Flags = ~(missing | np.ma.getmaskarray(values))
    return known
