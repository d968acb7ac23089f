"""Input inside a zip: whole, or refused by name."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from atlas.errors import PlanError
from indexer.sources.input_file import open_bytes

TABLE = "".join(f"record {n},Hyla arborea,{46 + n / 9_000}\n" for n in range(6_000)).encode()


def test_a_damaged_member_is_refused_by_name(tmp_path: Path) -> None:
    """Would break: bytes that the zip's checksum denies are read as records, or end in a trace."""
    path = tmp_path / "records.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("records.csv", TABLE)
    with open_bytes(path) as file:
        assert file.read() == TABLE
        file.seek(100)
        assert file.readline() == TABLE[100:].splitlines(keepends=True)[0]
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 16] = bytes(255 - byte for byte in data[half : half + 16])
    path.write_bytes(data)
    with pytest.raises(PlanError, match=r"records\.csv in it is damaged") as caught:
        open_bytes(path).read()
    assert caught.value.path == path
