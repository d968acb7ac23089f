"""The read stage, part reports, and what makes two parts the same work."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.errors import BuildError
from indexer.identity import embed_identity, read_identity
from indexer.parts import PartReport, finished, records_path, rejects_path, report_path
from indexer.plan import Plan, read_plan
from indexer.records import EMBEDDED_SCHEMA, REJECT_SCHEMA, check_accounting
from indexer.sources import ReadPart, Source, SourcePart, open_sources
from indexer.stages.read import read_part
from tests.unit.indexer.tables import FolderMaker, draw, sole, unchanged

PLAN = """\
[atlas]
title = "Frogs"
[output]
bundle = "out"
[[sources]]
kind = "folder"
key = "frogs"
title = "Frogs"
path = "photos"
records = "records.csv"
[[spaces]]
name = "tiny"
encoder = "local-dir:model"
"""


def plan_of(folder: Path, text: str = PLAN) -> Plan:
    """A plan that lies in `folder`."""
    (folder / "plan.toml").write_text(text)
    return read_plan(folder / "plan.toml")


@pytest.fixture
def sound(folder_source: FolderMaker, tmp_path: Path) -> Source:
    """Two pictures and three rows, one of them refused; `plan_of(tmp_path)` fits it."""
    source = folder_source(b"file,occurrenceID\na.png,1\nb.png,2\n,3\n", part_rows=2000)
    draw(tmp_path / "photos/a.png", (200, 10, 10))
    draw(tmp_path / "photos/b.png", (10, 200, 10))
    return source


def test_a_part_is_written_once(sound: Source, tmp_path: Path) -> None:
    """Would break: a resumed build reads everything again, or trusts half a part."""
    part = sole(sound.parts())
    folder = tmp_path / "read"
    report = read_part(sound, part, identity="one", folder=folder, curate=unchanged)
    assert (report.rows_in, report.rows_out, report.rejects) == (3, 2, 1)
    assert pq.read_schema(records_path(folder, part.name)).equals(EMBEDDED_SCHEMA)
    assert pq.read_schema(rejects_path(folder, part.name)).equals(REJECT_SCHEMA)
    written = records_path(folder, part.name).stat().st_mtime_ns
    assert read_part(sound, part, identity="one", folder=folder, curate=unchanged) == report
    assert records_path(folder, part.name).stat().st_mtime_ns == written
    assert finished(folder, part.name, "two") is None
    rejects_path(folder, part.name).write_bytes(b"cut short")
    assert finished(folder, part.name, "one") is None
    assert read_part(sound, part, identity="one", folder=folder, curate=unchanged) == report


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"part": 1}'])
def test_a_damaged_report_is_no_report(sound: Source, tmp_path: Path, content: bytes) -> None:
    """Would break: a report cut short by a crash stops every later build."""
    part = sole(sound.parts())
    report = read_part(sound, part, identity="one", folder=tmp_path, curate=unchanged)
    report_path(tmp_path, part.name).write_bytes(content)
    assert finished(tmp_path, part.name, "one") is None
    assert read_part(sound, part, identity="one", folder=tmp_path, curate=unchanged) == report


def test_no_bit_of_a_report_may_change(sound: Source, tmp_path: Path) -> None:
    """Would break: a count or a name that a disk changed between two runs gets into an account."""
    part = sole(sound.parts())
    report = read_part(sound, part, identity="one", folder=tmp_path, curate=unchanged)
    path = report_path(tmp_path, part.name)
    content = path.read_bytes()
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1 << (at % 8)
        path.write_bytes(changed)
        assert finished(tmp_path, part.name, "one") in (None, report), changed
    path.write_bytes(content)
    assert finished(tmp_path, part.name, "one") == report


def test_an_old_report_goes_before_its_files_do(sound: Source, tmp_path: Path) -> None:
    """Would break: files of a new plan are taken for those of the old one after a crash."""
    part = sole(sound.parts())
    read_part(sound, part, identity="one", folder=tmp_path, curate=unchanged)

    class Failing:
        settings = sound.settings

        def read(self, part: SourcePart) -> ReadPart:
            raise BuildError("read", f"cannot read {part.name}")

    with pytest.raises(BuildError):
        read_part(Failing(), part, identity="two", folder=tmp_path, curate=unchanged)  # type: ignore[arg-type]
    assert finished(tmp_path, part.name, "one") is None


def test_rows_that_do_not_add_up_stop_the_build(sound: Source, tmp_path: Path) -> None:
    """Would break: a source that loses rows goes unnoticed."""
    part = sole(sound.parts())

    class Losing:
        settings = sound.settings

        def read(self, part: SourcePart) -> ReadPart:
            read = sound.read(part)
            return read._replace(records=read.records.slice(0, 1))

    with pytest.raises(BuildError, match="3 rows in, but 1 rows out and 1 rejects"):
        read_part(Losing(), part, identity="one", folder=tmp_path, curate=unchanged)  # type: ignore[arg-type]
    assert finished(tmp_path, part.name, "one") is None
    check_accounting("read", "p", rows_in=2, rows_out=1, rejects=1)


def test_equal_parts_are_equal_files(sound: Source, tmp_path: Path) -> None:
    """Would break: two builds of the same input differ."""
    part = sole(sound.parts())
    for folder in ("x", "y"):
        read_part(sound, part, identity="one", folder=tmp_path / folder, curate=unchanged)
    for path in (tmp_path / "x").iterdir():
        assert path.read_bytes() == (tmp_path / "y" / path.name).read_bytes()


def test_read_identity_follows_what_is_read(sound: Source, tmp_path: Path) -> None:
    """Would break: a part of other input or settings is used again, or none ever is."""
    part = sole(sound.parts())
    first = read_identity(plan_of(tmp_path), sound, part, "")
    assert read_identity(plan_of(tmp_path), sound, sole(sound.parts()), "") == first
    for same in (
        PLAN.replace('title = "Frogs"', 'title = "Toads"'),
        PLAN + "[measure]\nqueries = 3\n[workers]\ncount = 9\n",
        PLAN.replace("local-dir:model", "local-dir:other"),
    ):
        plan = plan_of(tmp_path, same)
        assert read_identity(plan, open_sources(plan)[0], part, "") == first
    for other in (
        PLAN + "[cells]\nresolution = 5\n",
        PLAN + '[taxa]\nranks = ["genus"]\n',
        PLAN.replace('key = "frogs"', 'key = "frogs"\nmedia_licence = "CC0"'),
    ):
        plan = plan_of(tmp_path, other)
        assert read_identity(plan, open_sources(plan)[0], part, "") != first
    os.utime(tmp_path / "records.csv", ns=(1, 1))
    assert read_identity(plan_of(tmp_path), sound, sole(sound.parts()), "") != first


def test_embed_identity_follows_pictures_and_weights(sound: Source, tmp_path: Path) -> None:
    """Would break: a replaced picture keeps its old vector, or a new title embeds all again."""
    part = sole(sound.parts())
    read_part(sound, part, identity="one", folder=tmp_path, curate=unchanged)

    def identity(text: str = PLAN, fingerprint: str = "w") -> str:
        plan = plan_of(tmp_path, text)
        return embed_identity(plan, sound, tmp_path, part.name, {"tiny": fingerprint})

    first = identity()
    assert identity() == first
    assert identity(PLAN.replace("Frogs", "Toads")) == first
    assert identity(PLAN + "[cells]\nresolution = 5\n") == first  # the records are as they were
    assert identity(PLAN + "[spaces.prompts]\nquery = 'a {text}'\n") == first
    assert identity(fingerprint="v") != first
    assert identity(PLAN + "batch_size = 8\n") != first
    assert identity(PLAN + '[media]\nhost = ["CC0-1.0"]\n') != first
    draw(tmp_path / "photos/b.png", (10, 200, 11), size=(41, 30))
    assert identity() != first


def test_reports_are_plain_data(sound: Source, tmp_path: Path) -> None:
    """Would break: a report cannot be read by people or other programs."""
    part = sole(sound.parts())
    report = read_part(sound, part, identity="one", folder=tmp_path, curate=unchanged)
    assert isinstance(report, PartReport)
    assert report_path(tmp_path, part.name).read_text().count("\n") > 5
    assert isinstance(pq.read_table(records_path(tmp_path, part.name)), pa.Table)
