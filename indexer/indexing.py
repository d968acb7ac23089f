"""One space's index: trained on a sample of its segments, and filled with all of them.

What is there already is not made again. One caller; the watcher is told of each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from atlas.bundle.bundle import COARSE_FILE
from atlas.bundle.files import atomic_write
from atlas.bundle.manifest import encode_json
from atlas.bundle.segment import vectors_name
from atlas.errors import BuildError
from atlas.search.index import factory_for, training_rows
from atlas.search.torch_codes import choose_device
from indexer.fit import TRAINING_FILE, SegmentFolder, measure_fit
from indexer.plan_sections import IndexSection
from indexer.progress import Watcher
from indexer.sampling import Positions, taxon_runs, taxon_sample
from indexer.stages.encode import encode_rows
from indexer.stages.train import train_space


def index_space(
    space: str,
    dim: int,
    segments: Sequence[SegmentFolder],
    settings: IndexSection,
    *,
    order: Path,
    folder: Path,
    watcher: Watcher,
) -> str | None:
    """Train and fill the index of a space; returns its factory string, None for exact search.

    `order` is a table of all rows in their order with `taxon_id`; `folder` is the space's own. It
    gets the trained index and how well rows fit its lists. BuildError where it cannot be trained.
    """
    rows = sum(segment.rows for segment in segments)
    try:
        factory = factory_for(rows, dim, settings.factory, settings.exact_below, settings.coarse)
    except ValueError as error:
        raise BuildError("train", f"the plan's index.factory: {error}") from error
    if factory is None:
        return None
    trained = folder / COARSE_FILE
    with watcher.stage("train", 1, factory) as advance:
        try:
            device = choose_device(settings.device)
            if not trained.exists():
                train_space(
                    [(segment.folder / vectors_name(space), segment.rows) for segment in segments],
                    dim,
                    factory,
                    trained,
                    chosen=_sample(order, factory, settings),
                    seed=settings.seed,
                    device=device,
                )
        except ValueError as error:
            raise BuildError("train", str(error)) from error
        advance(1)
    with watcher.stage("encode", rows, "rows") as advance:
        for segment in segments:
            encode_rows(
                segment.folder, space, segment.rows, dim, trained, device=device, progress=advance
            )
    if not (folder / TRAINING_FILE).exists():
        fit = measure_fit(space, segments, seed=settings.seed)
        atomic_write(folder / TRAINING_FILE, encode_json(fit))
    return factory


def _sample(order: Path, factory: str, settings: IndexSection) -> Positions:
    """The rows to train on."""
    wanted = training_rows(factory) if settings.train_rows == "auto" else settings.train_rows
    cap = max(1, round(settings.taxon_share * wanted))
    return taxon_sample(taxon_runs(order), wanted, cap, settings.seed)
