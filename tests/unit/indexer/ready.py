"""Builds of ready vectors: real from plan to bundle, and done in half a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.manifest import CURRENT, Manifest, read_current, read_manifest
from indexer.build import Built, build
from indexer.plan import read_plan
from indexer.progress import Silent
from tests.bundle_factory import random_vectors

DIM = 8
SPECIES = ("Hyla arborea", "Rana temporaria", "Passer domesticus", "Quercus robur")
KINGDOMS = ("Animalia", "Animalia", "Animalia", "Plantae")
INDEXED: Mapping[str, str] = {
    "index": 'factory = "IVF4,Flat"\nexact_below = 0\nsegment_rows = 150',
    "measure": "queries = 20\nrecall_target = 0.0",
}
_SOURCE = """
[[sources]]
kind = "embeddings"
key = "{key}"
title = "Vectors of the {key}"
path = "{key}*.parquet"
space = "small"
"""


def write_vectors(path: Path, rows: int, seed: int, bad: Mapping[int, str] | None = None) -> None:
    """Write one file of ready vectors; `bad` says what is wrong with which row.

    Faults: `short`, `nan`, `zero`, `id`, and `again` (the image id of row 0).
    """
    vectors = [list(map(float, vector)) for vector in random_vectors(rows, DIM, seed)]
    ids = [f"{seed:08x}-0000-4000-8000-{number:012x}" for number in range(rows)]
    for row, fault in (bad or {}).items():
        if fault == "short":
            vectors[row] = vectors[row][:-1]
        elif fault == "nan":
            vectors[row][0] = float("nan")
        elif fault == "zero":
            vectors[row] = [0.0] * DIM
        elif fault == "id":
            ids[row] = "no id"
        else:
            ids[row] = ids[0]
    kinds = np.random.default_rng(seed).integers(len(SPECIES), size=rows).tolist()
    table = {
        "uuid": ids,
        "emb": pa.array(vectors, pa.list_(pa.float32())),
        "kingdom": [KINGDOMS[kind] for kind in kinds],
        "species": [SPECIES[kind] for kind in kinds],
        "source_id": [f"record {number}" for number in range(rows)],
    }
    pq.write_table(pa.table(table), path)


def write_ready_plan(
    folder: Path, *keys: str, title: str = "Ready", sections: Mapping[str, str] | None = None
) -> Path:
    """Write a plan whose sources are `KEY*.parquet` beside it and whose bundle is `bundle`."""
    text = f'[atlas]\ntitle = "{title}"\n[output]\nbundle = "bundle"\n'
    text += "".join(_SOURCE.format(key=key) for key in keys)
    text += f'[[spaces]]\nname = "small"\ndim = {DIM}\n[workers]\ncount = 1\n'
    text += "".join(f"[{name}]\n{body}\n" for name, body in (sections or {}).items())
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def built(plan: Path) -> Built:
    """Build a plan, watched by nobody."""
    return build(read_plan(plan), Silent())


def live(folder: Path) -> Manifest | None:
    """The live manifest of the plan's bundle."""
    root = folder / "bundle"
    return read_manifest(read_current(root)) if (root / CURRENT).exists() else None
