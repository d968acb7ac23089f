"""The order of a build: prepare every part, then hand them to the assembly.

A build may be killed at any moment and started again; it goes on where it was and ends with the
same bundle. What comes after the parts is imported only where it is used: it takes seconds.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from atlas.bundle.manifest import Manifest
from indexer.alone import alone_in, alone_with
from indexer.parts import check_vectors
from indexer.plan import Plan
from indexer.prepare import prepare
from indexer.progress import Watcher
from indexer.work import WorkFolder


class Built(NamedTuple):
    """A finished build; `was_live` when nothing had changed since the bundle was built."""

    manifest: Manifest
    was_live: bool


def build(plan: Plan, watcher: Watcher) -> Built:
    """Build the plan's bundle and make it live; resumes whatever an earlier run left.

    Raises PlanError for input that cannot be used and BuildError, naming the stage, where a build
    must stop: rows that do not add up, too many rejects, too little recall.
    """
    from indexer.assemble import Assembly  # noqa: PLC0415 - slow, see above
    from indexer.state import begin, identity_of, live_manifest  # noqa: PLC0415 - slow, see above
    from indexer.stops import clear_stops  # noqa: PLC0415 - slow, see above

    work = WorkFolder(plan.output.work_folder())
    begun_ns = time.time_ns()
    with clear_stops(), alone_in(work.root), alone_with(plan.output.bundle):
        sources, encoders, parts = prepare(plan, work, watcher)
        identity = identity_of(plan, parts)
        live = live_manifest(plan.output.bundle)
        if live is not None and live.identity == identity:
            return Built(manifest=live, was_live=True)
        check_vectors([work.read, work.embed], parts.embedded.values(), begun_ns)
        state = begin(plan, work, identity, watcher.note)
        assembly = Assembly(plan, state, sources, encoders, parts, watcher)
        return Built(manifest=assembly.run(), was_live=False)
