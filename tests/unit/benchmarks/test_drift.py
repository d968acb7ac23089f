"""What `benchmarks.drift` measures: samples, true hits, and codes in the nearest lists."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from benchmarks.drift import Asked, cases, codes_needed, exact_hits, main
from tests.bundle_factory import random_vectors


def test_hits_are_the_greatest_products() -> None:
    """Would break: codes are counted until other rows than the true ones are found."""
    vectors = random_vectors(9_000, 8, 1)
    queries = random_vectors(5, 8, 2).astype(np.float32)
    products = queries @ vectors.astype(np.float32).T
    found = np.take_along_axis(products, exact_hits(vectors, queries), axis=1)
    # Some rows come twice, and either may be named.
    assert np.allclose(found, -np.sort(-products, axis=1)[:, :10], atol=1e-6)


def test_codes_are_those_of_the_lists_up_to_the_hits() -> None:
    """Would break: an index is called cheap whose lists have to be read to the end."""
    centroids = np.eye(3, dtype=np.float32)
    numbers = np.array([0, 0, 0, 1, 1, 2])
    asked = Asked(np.array([[0.9, 0.5, 0.1]], np.float32), np.array([[0, 3]]))
    assert codes_needed(centroids, numbers, asked, 0.5) == 3
    assert codes_needed(centroids, numbers, asked, 1.0) == 5


def test_samples_are_of_the_rows_that_they_name() -> None:
    """Would break: lists said to be trained on a part of the tree have seen all of it."""
    species = np.random.default_rng(0).integers(0, 60, 12_000).astype(np.int32)
    for trained_on, share, sample, lists in cases(species):
        assert len(np.unique(sample)) == len(sample) <= 39 * lists + 1
        if trained_on == "taxa":
            assert species[sample].max() <= np.sort(species)[int(share * 12_000) - 1]


def test_a_run_keeps_its_records(tmp_path: Path) -> None:
    """Would break: the page on indexing is made from records that nobody wrote."""
    file = tmp_path / "drift.json"
    result = CliRunner().invoke(
        main, ["--rows", "10000", "--dim", "8", "--json", str(file)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    records = json.loads(file.read_text(encoding="utf-8"))
    residuals = {(record["trained_on"], record["share"]): record["residual"] for record in records}
    assert residuals["taxa", 0.1] > 1.05 * residuals["rows", 1.0]
