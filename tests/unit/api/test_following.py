"""Going over from one state of a bundle to the next, with states that only remember."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from atlas.api.following import Following
from atlas.bundle.manifest import CURRENT, FORMAT_VERSION, Manifest
from atlas.bundle.publish import publish
from atlas.errors import BundleError
from atlas.telemetry import Metrics


def write(root: Path, number: int) -> Manifest:
    """Make an empty state live."""
    manifest = Manifest(
        format_version=FORMAT_VERSION, number=number, title="", description="",
        demonstration=False, built_at="", identity="", rows=0, ranks=(), cell_resolution=7,
        catalog="", rejects="", segments=(), spaces=(), sources=(), files=(),
    )  # fmt: skip
    publish(root, manifest)
    return manifest


class Remembering:
    """A state that remembers whether it runs."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.runs = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Remember."""
        self.runs = True
        yield
        self.runs = False


class Opener:
    """Opens what the pointer names, or fails as it is told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.opened: list[Remembering] = []
        self.error: Exception | None = None

    def open(self, _live: Remembering) -> Remembering:
        """Open it."""
        if self.error is not None:
            raise self.error
        name = (self.root / CURRENT).read_text().strip()
        manifest = msgspec.json.decode((self.root / name).read_bytes(), type=Manifest)
        self.opened.append(Remembering(manifest))
        return self.opened[-1]


@pytest.fixture
def opener(tmp_path: Path) -> Opener:
    """Opens states below `tmp_path`."""
    return Opener(tmp_path)


@pytest.fixture
def first(tmp_path: Path) -> Remembering:
    """The state that is served first."""
    return Remembering(write(tmp_path, 1))


def follow(first: Remembering, opener: Opener, poll_s: float = 0) -> Following[Remembering]:
    """Follow the pointer; by hand, unless `poll_s` says otherwise."""
    return Following(first, opener.open, root=opener.root, poll_s=poll_s, metrics=Metrics())


async def test_a_request_keeps_its_state(first: Remembering, opener: Opener) -> None:
    """A state that is closed under a request gives it an error or another state's rows."""
    following = follow(first, opener)
    async with following.running():
        with following.held() as early:
            write(opener.root, 2)
            await following.look()
            await asyncio.sleep(0)
            with following.held() as late:
                assert (early.manifest.number, late.manifest.number) == (1, 2)
                assert early.runs
                assert late.runs
        await asyncio.sleep(0.01)
        assert not first.runs
        assert opener.opened[0].runs
    assert not opener.opened[0].runs


async def test_nothing_new_opens_nothing(first: Remembering, opener: Opener) -> None:
    """Opening reads a whole bundle: a pointer that was written again is no reason."""
    following = follow(first, opener)
    async with following.running():
        await following.look()
        write(opener.root, 1)
        await following.look()
    assert not opener.opened


@pytest.mark.parametrize(
    "error", [BundleError(Path("rows.parquet"), "this file is missing"), RuntimeError("no memory")]
)
async def test_what_cannot_be_opened_is_refused_once(
    first: Remembering, opener: Opener, error: Exception
) -> None:
    """Whatever is wrong with the next state, this one goes on; a new pointer is tried again."""
    metrics = Metrics()
    following = Following(first, opener.open, root=opener.root, poll_s=0, metrics=metrics)
    async with following.running():
        opener.error = error
        write(opener.root, 2)
        for _ in range(3):
            await following.look()
        assert following.refused == "manifest-000002.json"
        assert following.live is first
        counted = metrics.registry.get_sample_value(
            "atlas_bundle_followed_total", {"outcome": "refused"}
        )
        assert counted == 1
        opener.error = None
        write(opener.root, 3)
        await following.look()
        assert not following.refused
        assert following.live.manifest.number == 3


async def test_no_pointer(first: Remembering, opener: Opener) -> None:
    """A folder that is being replaced has no pointer for a moment."""
    following = follow(first, opener)
    async with following.running():
        await following.look()
        (opener.root / CURRENT).unlink()
        await following.look()
        assert following.refused == CURRENT
        write(opener.root, 1)
        await following.look()
        assert not following.refused
        assert following.live is first


async def test_it_looks_by_itself(first: Remembering, opener: Opener) -> None:
    """Nobody has to tell the server; and back to an earlier state is a way, too."""
    following = follow(first, opener, poll_s=0.01)
    async with following.running():
        for number in (2, 1):
            write(opener.root, number)
            async with asyncio.timeout(5):
                while following.live.manifest.number != number:  # noqa: ASYNC110 - it says nothing
                    await asyncio.sleep(0.01)
    assert [state.runs for state in (first, *opener.opened)] == [False] * 3
