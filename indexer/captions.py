"""Text-like queries for measuring a space: captions of its own taxa, through its text tower."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from atlas.bundle.manifest import PromptTemplates
from atlas.search.encoder import Encoder
from atlas.search.prompts import taxon_prompts
from indexer.stages.measure import QuerySet


def caption_queries(
    taxa: pa.Table, prompts: PromptTemplates, encoder: Encoder, count: int, seed: int
) -> QuerySet:
    """Up to `count` captions of taxa drawn by `seed`, by scientific name, common name and both.

    `taxa` has the columns scientific_name and common_name, in preorder; the root is left out.
    """
    scientific = taxa["scientific_name"].to_pylist()[1:]
    common = [name or "" for name in taxa["common_name"].to_pylist()[1:]]
    pairs = [(latin, "") for latin in scientific]
    pairs += [("", name) for name in common if name]
    pairs += [pair for pair in zip(scientific, common, strict=True) if pair[1]]
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:count]
    captions = taxon_prompts(prompts, [pairs[i][0] for i in chosen], [pairs[i][1] for i in chosen])
    vectors = encoder.encode_texts(captions)
    return QuerySet("text", vectors, np.full(len(vectors), -1, np.int64))
