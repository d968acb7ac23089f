"""Drift: how rows lie in the lists that were trained before them, and training again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import faiss
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from atlas.bundle.bundle import Bundle
from atlas.errors import BundleError
from indexer.build import build
from indexer.commands import indexer
from indexer.drift import drift_of, reasons_to_train
from indexer.fit import Fit, SegmentFolder, measure_fit
from indexer.plan import read_plan
from indexer.progress import Silent
from indexer.stages.encode import encode_rows
from indexer.stages.train import train_space
from tests.bundle_factory import random_vectors
from tests.factories import make_photos, write_plan

DIM = 8
AT_TRAINING = Fit(rows=1_000, lists=16, residual=0.2, imbalance=1.2)


def invoke(*arguments: object) -> Result:
    """`indexer` with these arguments."""
    return CliRunner().invoke(indexer, [*map(str, arguments)])


def encoded(folder: Path, vectors: np.ndarray, trained: Path) -> SegmentFolder:
    """A segment of these vectors in the lists of a trained index."""
    folder.mkdir()
    vectors.astype(np.float16).tofile(folder / "small.f16")
    encode_rows(folder, "small", len(vectors), DIM, trained, device="cpu")
    return SegmentFolder(folder, len(vectors))


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """An index of eight lists, trained on 600 random vectors."""
    file = tmp_path / "small.f16"
    random_vectors(600, DIM, 1).tofile(file)
    path = tmp_path / "coarse.faiss"
    chosen = np.arange(600)
    train_space([(file, 600)], DIM, "IVF8,SQ8", path, chosen=chosen, seed=0, device="cpu")
    return path


def test_the_fit_is_what_the_definitions_say(trained: Path, tmp_path: Path) -> None:
    """Would break: drift is judged by another number than docs/indexing.md defines."""
    vectors = random_vectors(500, DIM, 2)
    halves = [encoded(tmp_path / str(i), vectors[i::2], trained) for i in range(2)]
    fit = measure_fit("small", halves, seed=0)
    index = faiss.read_index(str(trained))  # owns what the next line reads
    middles = faiss.downcast_index(faiss.extract_index_ivf(index).quantizer).reconstruct_n(0, 8)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    products = vectors.astype(np.float64) @ middles.T.astype(np.float64)
    sizes = np.bincount(products.argmax(axis=1), minlength=8)
    assert (fit.rows, fit.lists) == (500, 8)
    assert fit.residual == pytest.approx(1 - products.max(axis=1).mean(), abs=1e-3)
    assert fit.imbalance == pytest.approx(8 * (sizes**2).sum() / 500**2, rel=0.02)


def test_rows_of_another_kind_drift(trained: Path, tmp_path: Path) -> None:
    """Would break: a bundle that took in what its lists were not made for is said to fit."""
    same = measure_fit(
        "small", [encoded(tmp_path / "same", random_vectors(400, DIM, 3), trained)], seed=0
    )
    one_side = np.abs(random_vectors(400, DIM, 4).astype(np.float32)) + 1.0
    one_side /= np.linalg.norm(one_side, axis=1, keepdims=True)
    other = measure_fit("small", [encoded(tmp_path / "other", one_side, trained)], seed=0)
    assert other.imbalance > 1.3 * same.imbalance
    assert reasons_to_train(same, other)
    assert not reasons_to_train(same, same)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"residual": 0.205, "imbalance": 1.3}, None),
        ({"rows": 70_000}, "70,000 rows want 1,024 lists, the index has 16"),
        ({"residual": 0.23}, "lie farther from the middle of their list"),
        ({"imbalance": 1.6}, "lists are more uneven"),
    ],
)
def test_each_reason_is_said(changes: dict[str, Any], said: str | None) -> None:
    """Would break: the operator is told to train for days, and not why."""
    now = msgspec.structs.replace(AT_TRAINING, **changes)
    reasons = reasons_to_train(AT_TRAINING, now)
    assert len(reasons) == (said is not None)
    if said is not None:
        assert said in reasons[0]


@pytest.fixture
def lived(indexed_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may change."""
    return Path(shutil.copytree(indexed_bundle, tmp_path / "lived"))


def test_a_fresh_bundle_fits(indexed_bundle: Path) -> None:
    """Would break: what was trained a minute ago is to be trained again."""
    (found,) = drift_of(indexed_bundle, seed=0)
    assert found.trained == found.now
    assert found.reasons == ()
    told = invoke("drift", indexed_bundle)
    assert told.exit_code == 0, told.output
    assert "the index fits" in told.output


def test_the_command_says_that_training_pays(lived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break: a script that watches bundles cannot tell which are outgrown."""
    monkeypatch.setattr("indexer.drift.RESIDUAL_GROWTH", 1.0)
    told = invoke("drift", lived)
    assert told.exit_code == 3
    assert "training again pays" in told.output
    (listed,) = json.loads(invoke("drift", lived, "--json").stdout)
    assert listed["lists_wanted"] == 4
    assert listed["reasons"]


def test_training_again_moves_no_row(lived: Path) -> None:
    """Would break: rows, vectors or credits change with an index, or the old one stays in use."""
    before = Bundle.open(lived)
    vectors = np.concatenate([segment.vectors("tiny") for segment in before.segments])
    coarse = (lived / "spaces" / "tiny" / "coarse.faiss").read_bytes()
    result = invoke("compact", lived, "--retrain", "--recall-target", "0.5", "--quiet")
    assert result.exit_code == 0, result.output
    opened = Bundle.open(lived, "full")
    assert opened.manifest.number == before.manifest.number + 1
    (space,) = opened.manifest.spaces
    assert space.folder != "tiny"
    assert opened.curve_path("tiny").exists()
    assert (lived / "spaces" / space.folder / "coarse.faiss").exists()
    assert np.array_equal(
        np.concatenate([segment.vectors("tiny") for segment in opened.segments]), vectors
    )
    assert not any(entry.path.startswith("spaces/tiny/") for entry in opened.manifest.files)
    # What a server that has not gone over yet reads is there until it is pruned.
    assert (lived / "spaces" / "tiny" / "coarse.faiss").read_bytes() == coarse
    assert invoke("prune", lived).exit_code == 0
    assert not (lived / "spaces" / "tiny").exists()
    assert drift_of(lived, seed=0)[0].reasons == ()


def test_a_bundle_without_an_index_is_told_so(tmp_path: Path, tiny_model: Path) -> None:
    """Would break: an exact bundle is said to fit an index that it does not have."""
    make_photos(tmp_path / "photos", records=20, seed=1)
    plan = write_plan(
        tmp_path / "plan.toml",
        photos=tmp_path / "photos",
        model=tiny_model,
        bundle=tmp_path / "atlas",
        rejects="max_share = 0.9",
    )
    build(read_plan(plan), Silent())
    with pytest.raises(BundleError, match="has no index"):
        drift_of(tmp_path / "atlas", seed=0)
