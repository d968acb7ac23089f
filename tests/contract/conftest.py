"""Tiny OpenCLIP models with random weights, laid out in every way that OpenCLIP can load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import atlas.search.torchvision_cpu  # noqa: F401 - must be imported before open_clip
from atlas.search.encoder import EncoderChoice, OpenClipEncoder, load_encoder

# isort: split
import huggingface_hub.constants
import open_clip
from safetensors.torch import load_file, save_file

HUB_MODEL = "tiny-owner/tiny-bioclip"
REGISTERED_NAME = "tiny-registered"
CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
LOADING_WAYS = ("local-dir", "hf-hub", "registered-name", "timm-tower")
SAME_WEIGHTS = LOADING_WAYS[:3]

# The keys of BioCLIP's own configuration, with a tiny geometry.
VIT: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {
        "image_size": 32,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "patch_size": 16,
    },
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
# What the model of the illustrated atlas is made of.
TIMM: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {
        "timm_model_name": "resnet10t",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        "image_size": 48,
    },
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
PREPROCESSING: dict[str, Any] = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}


def make_model_folder(folder: Path, geometry: dict[str, Any], seed: int) -> Path:
    """A folder that `local-dir:` reads: configuration and random weights."""
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(
        json.dumps({"model_cfg": geometry, "preprocess_cfg": PREPROCESSING})
    )
    registry = folder.parent / f"registry-{folder.name}"
    with registered(registry, f"building-{folder.name}", geometry) as name:
        torch.manual_seed(seed)
        model = open_clip.create_model(name)
    save_file(
        {key: tensor.contiguous() for key, tensor in model.state_dict().items()}, folder / WEIGHTS
    )
    return folder


@contextmanager
def registered(folder: Path, name: str, geometry: dict[str, Any]) -> Iterator[str]:
    """Make a geometry known to OpenCLIP under a name, for as long as the block runs."""
    folder.mkdir(parents=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(geometry))
    open_clip.add_model_config(path)
    try:
        yield name
    finally:
        # OpenCLIP cannot forget a model; left there, it would be searched for by later tests.
        open_clip.factory._MODEL_CONFIG_PATHS.remove(path)
        open_clip.factory._MODEL_CONFIGS.pop(name)


@pytest.fixture(scope="session")
def vit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny ViT model as a folder; three of the four ways to load share its weights."""
    return make_model_folder(tmp_path_factory.mktemp("models") / "vit", VIT, seed=1)


@pytest.fixture(scope="session")
def timm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a timm image tower as a folder."""
    return make_model_folder(tmp_path_factory.mktemp("models") / "timm", TIMM, seed=2)


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory: pytest.TempPathFactory, vit_folder: Path) -> Path:
    """A cache of the hub with one model in it, as `hf download` leaves it."""
    cache = tmp_path_factory.mktemp("hub")
    revision = "0123456789abcdef0123456789abcdef01234567"
    model = cache / f"models--{HUB_MODEL.replace('/', '--')}"
    snapshot = model / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(revision)
    for name in (CONFIG, WEIGHTS):
        shutil.copy(vit_folder / name, snapshot / name)
    return cache


@pytest.fixture(scope="session", autouse=True)
def offline_hub(hub_cache: Path) -> Iterator[None]:
    """Every test here sees that cache and no network, as HF_HUB_CACHE and HF_HUB_OFFLINE do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(hub_cache))
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        yield


@pytest.fixture(scope="session")
def choices(
    vit_folder: Path, timm_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, EncoderChoice]]:
    """One choice for each way of loading; the batch size is odd so that chunks are uneven."""
    checkpoint = tmp_path_factory.mktemp("checkpoints") / "weights.pt"
    # As a trainer leaves it: wrapped, and named for a model in DistributedDataParallel.
    state = load_file(vit_folder / WEIGHTS)
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, checkpoint)
    with registered(tmp_path_factory.mktemp("registry") / "kept", REGISTERED_NAME, VIT) as name:
        yield {
            "local-dir": EncoderChoice(spec=f"local-dir:{vit_folder}", batch_size=3),
            "hf-hub": EncoderChoice(spec=f"hf-hub:{HUB_MODEL}", batch_size=3),
            "registered-name": EncoderChoice(spec=name, pretrained=str(checkpoint), batch_size=3),
            "timm-tower": EncoderChoice(spec=f"local-dir:{timm_folder}", batch_size=3),
        }


@pytest.fixture(scope="session")
def encoders(choices: dict[str, EncoderChoice]) -> dict[str, OpenClipEncoder]:
    """All of them, loaded on the CPU in float32."""
    return {way: load_encoder(with_cpu(choice)) for way, choice in choices.items()}


def with_cpu(choice: EncoderChoice) -> EncoderChoice:
    """The same choice on the CPU, whatever this machine has."""
    return EncoderChoice(
        spec=choice.spec,
        pretrained=choice.pretrained,
        batch_size=choice.batch_size,
        device="cpu",
    )


@pytest.fixture(params=LOADING_WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Each way of loading in turn."""
    return str(request.param)


@pytest.fixture
def encoder(way: str, encoders: dict[str, OpenClipEncoder]) -> OpenClipEncoder:
    """The encoder loaded in that way."""
    return encoders[way]
