"""The benchmark of embedding counts every picture that it makes up."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import embedding
from benchmarks.embedding import Setting, measure, show
from benchmarks.photos import make_photo, write_photos

# isort: split
from benchmarks import image_models
from benchmarks.image_models import flop_per_picture
from tests.contract.conftest import VIT, registered

SETTING = Setting(
    models=("benchmark-tiny",),
    pictures=70,
    side_px=64,
    distinct=5,
    processes=0,
    threads=2,
    batch_size=16,
    device="cpu",
    dtype="auto",
    compiled=False,
    rounds=2,
    seed=3,
)


def test_embedding_is_measured_from_photos_to_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would break: the benchmark times a path that loses pictures, or a share is no share."""
    monkeypatch.setattr(embedding, "_PART_ROWS", 30)
    monkeypatch.setattr(image_models, "CPU_MATRIX", 256)
    with registered(tmp_path / "registry", "benchmark-tiny", VIT):
        record = measure(SETTING, tmp_path / "work")
    rates = [name for name in record if name.endswith("images_per_s")]
    assert len(rates) == 4
    assert all(record[name] > 0 for name in rates)
    assert len(record["all_rounds"]) == 2
    whole, bare = record["pipeline_images_per_s"], record["bare_loop_images_per_s"]
    assert 0 < whole < 3 * bare
    assert record["model_share_of_peak"] > 0
    assert record["time_decode_s"] > 0
    assert record["time_model_s"] > 0
    parts = sorted(path.name for path in (tmp_path / "work/out-1").glob("*.f16"))
    assert len(parts) == 3
    show(record)
    assert "share of that peak" in capsys.readouterr().out


def test_the_operations_of_a_model_are_those_counted_by_hand() -> None:
    """Would break: the share of the peak is of other work than the model's.

    By hand, a multiply-add being two: a layer of width d has 12 d^2 weights, used by each of t
    tokens, and two products of t x t x d for its attention; then patches and projection.
    """
    tokens, width = 7 * 7 + 1, 768
    layers = 12 * (2 * 12 * width**2 * tokens + 2 * 2 * tokens**2 * width)
    ends = 2 * 49 * (32 * 32 * 3) * width + 2 * width * 512
    assert flop_per_picture("ViT-B-32") == pytest.approx(layers + ends, rel=0.001)


def test_made_up_photos_follow_their_seed(tmp_path: Path) -> None:
    """Would break: two runs decode different files, or files that are no photos."""
    assert make_photo(1, 200) == make_photo(1, 200)
    assert make_photo(1, 200) != make_photo(2, 200)
    assert max(Image.open(BytesIO(make_photo(1, 200))).size) == 200
    table, size_bytes = write_photos(tmp_path, 7, seed=1, long_side_px=60, distinct=3)
    files = sorted((tmp_path / "photos").iterdir())
    assert table.read_text().split() == ["file", *(file.name for file in files)]
    assert files[0].read_bytes() == files[3].read_bytes() != files[1].read_bytes()
    assert size_bytes == sum(file.stat().st_size for file in files) // 7


def test_decoding_processes_of_the_benchmark_load_no_torch() -> None:
    """Would break: what is measured is not what a build does: its workers start without torch."""
    asked = "import sys, benchmarks.embedding; print('torch' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "False"
