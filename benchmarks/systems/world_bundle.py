"""Builds the bundle of a world with the builder's own stages, and says how long they took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.conditions import WorldOnDisk
from benchmarks.systems.world_source import SPACE, WorldSource
from benchmarks.worlds import SOURCES
from indexer.account import Parts
from indexer.assemble import Assembly
from indexer.embedding.part import PartFile
from indexer.identity import embed_identity, read_identity
from indexer.plan import Plan
from indexer.plan_sections import AtlasSection, IndexSection, OutputSection, SpaceSection
from indexer.quality.curation import curation_of
from indexer.stages.embed import ReadyJob, take_ready
from indexer.stages.read import read_part
from indexer.state import begin, identity_of
from indexer.work import WorkFolder


class Stopwatch:
    """Watches a build: seconds of each stage, by name."""

    def __init__(self) -> None:
        """Nothing is timed yet."""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:  # noqa: ARG002 - a protocol's signature
        """Time one stage."""
        started = time.perf_counter()
        yield lambda _done: None
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def note(self, message: str) -> None:
        """Print what the builder finds worth knowing."""
        print(f"  {message}")


def build_world(data: WorldOnDisk, folder: Path, factory: str) -> dict[str, float]:
    """Build `folder`/bundle; returns the seconds of each stage."""
    watch = Stopwatch()
    plan = _plan(data, folder, factory)
    work = WorkFolder(plan.output.work_folder())
    work.root.mkdir(parents=True, exist_ok=True)
    sources = tuple(
        WorldSource(data, number, folder, plan.cells.resolution) for number in range(len(SOURCES))
    )
    curation = curation_of(plan)
    pieces = [(source, part) for source in sources for part in source.parts()]
    parts = Parts(
        source_of={part.name: source.settings.key for source, part in pieces},
        read={
            part.name: read_part(
                source,
                part,
                identity=read_identity(plan, source, part, curation.identity),
                folder=work.read,
                curate=curation.apply,
            )
            for source, part in pieces
        },
        embedded={},
    )
    for source, part in pieces:
        identity = partial(embed_identity, plan, source, work.read, part.name)
        file = PartFile(work.embed, part.name, identity({}))
        parts.embedded[part.name] = take_ready(ReadyJob(file, work.read, (SPACE,)))
    state = begin(plan, work, identity_of(plan, parts), watch.note)
    Assembly(plan, state, sources, {}, parts, watch).run()
    return watch.seconds


def _plan(data: WorldOnDisk, folder: Path, factory: str) -> Plan:
    seed = data.world.seed
    return Plan(
        atlas=AtlasSection(
            title="Made-up world",
            description="Rows of a benchmark: nothing in it was ever seen.",
            demonstration=True,
        ),
        output=OutputSection(bundle=folder / "bundle", work=folder / "work"),
        sources=tuple(
            WorldSource(data, number, folder, 0).settings for number in range(len(SOURCES))
        ),
        spaces=(SpaceSection(name=SPACE, dim=data.dim),),
        index=IndexSection(factory=factory, seed=seed),
        path=folder / "plan.toml",
    )
