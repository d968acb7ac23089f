"""The published BioCLIP 2 vectors: read as they are, and how often a nearest neighbour is kin.

Knows the data set's file and the rates published with it, nothing of how search works.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from atlas.bundle import Bundle
from atlas.catalog import Catalog
from atlas.search.filters import Filter
from atlas.search.retrieval import Question, Retrieval
from benchmarks.real.plans import Prepared, write_plan

FOLDER = "bioclip2-embeddings-1k"
FILE = "example_1k.parquet"
KEY = "bioclip2-1k"
SPACE = "bioclip2"
ENCODER = "hf-hub:imageomics/bioclip-2"

# Said of this very file by its SOURCE.md: nearest neighbours that share a rank, among the rows
# whose rank is known.
STATED = {"kingdom": 0.80, "class": 0.66, "order": 0.41, "family": 0.29, "genus": 0.15}


def prepare(data: Path, out: Path) -> Prepared:
    """Write the plan below `out`; the file itself is read where it lies."""
    file = data / FOLDER / FILE
    out.mkdir(parents=True, exist_ok=True)
    plan = write_plan(
        out / "plan.toml",
        {
            "atlas": {
                "title": "BioCLIP 2 embeddings",
                "description": "Published image vectors with taxonomy, without pictures or places.",
            },
            "output": {"bundle": "bundle"},
            "sources": [
                {
                    "kind": "embeddings",
                    "key": KEY,
                    "title": "1,030 BioCLIP 2 image embeddings of TreeOfLife-200M",
                    "path": file.absolute(),
                    "space": SPACE,
                    "citation": "Imageomics/emb-explorer, data/example_1k.parquet; metadata from "
                    "the TreeOfLife-200M catalog.",
                    "url": "https://github.com/Imageomics/emb-explorer",
                }
            ],
            "spaces": [{"name": SPACE, "encoder": ENCODER}],
        },
    )
    rows = pq.read_metadata(file).num_rows
    return Prepared(
        name="embeddings",
        title=f"{rows:,} published image vectors",
        plan=plan,
        rows=rows,
        notes=("no licence of the photos is given, so each row is flagged as of unknown licence",),
    )


def agreement(bundle: Bundle, catalog: Catalog, retrieval: Retrieval) -> dict[str, float]:
    """Share of rows whose nearest other row has the same name, by rank, unnamed ranks left out.

    Every row is asked through the atlas's own search, two hits each, one of them itself.
    """
    row_ids = np.arange(bundle.manifest.rows)
    rows = catalog.images(row_ids)
    nearest = np.array(
        [_nearest_other(retrieval, catalog, row_id) for row_id in row_ids.tolist()], np.int64
    )
    paths = {taxon: catalog.taxon(taxon).path for taxon in {row.taxon.taxon_id for row in rows}}
    shares = {}
    for at, rank in enumerate(bundle.manifest.ranks):
        names = np.array([paths[row.taxon.taxon_id][at] for row in rows])
        known = names != ""
        shares[rank] = float(np.mean(names[known] == names[nearest][known]))
    return shares


def _nearest_other(retrieval: Retrieval, catalog: Catalog, row_id: int) -> int:
    vector = retrieval.vector(catalog.image_id_of(row_id), SPACE)
    page = retrieval.search(
        Question(space=SPACE, vector=vector, filter=Filter(flags="all"), limit=2)
    )
    return next(hit.row_id for hit in page.hits if hit.row_id != row_id)
