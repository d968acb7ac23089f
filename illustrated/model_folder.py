"""The small OpenCLIP model as a folder: its configuration, how it is saved and how it is opened.

The folder is what OpenCLIP's `local-dir:` scheme reads, so nothing here is needed to use it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atlas.search.torchvision_cpu  # noqa: F401 - must be imported before open_clip

# isort: split
import open_clip
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file

IMAGE_SIDE_PX = 96
SIZE_LIMIT_BYTES = 20_000_000

# Nearly all parameters are the 49,408-word embedding and the image tower: a width of 64 keeps
# the words at 6.3 MB and resnet10t takes 9.8 MB, in half precision.
MODEL_CONFIG: dict[str, Any] = {
    "embed_dim": 256,
    "vision_cfg": {
        "timm_model_name": "resnet10t",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        "image_size": IMAGE_SIDE_PX,
    },
    "text_cfg": {
        "context_length": 24,
        "vocab_size": 49408,
        "width": 64,
        "heads": 2,
        "layers": 2,
    },
}
PREPROCESS_CONFIG: dict[str, Any] = {
    "size": [IMAGE_SIDE_PX, IMAGE_SIDE_PX],
    "mode": "RGB",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}


def new_model() -> CLIP:
    """An untrained model of the configured shape."""
    return CLIP(**MODEL_CONFIG)


def tokenizer() -> Callable[[list[str]], torch.Tensor]:
    """OpenCLIP's own tokenizer at this model's context length."""
    context_length: int = MODEL_CONFIG["text_cfg"]["context_length"]
    tokens: Callable[[list[str]], torch.Tensor] = open_clip.SimpleTokenizer(
        context_length=context_length
    )
    return tokens


def save_model(model: CLIP, folder: Path) -> int:
    """Write configuration and half-precision weights; returns their size in bytes.

    Raises ValueError when they are larger than the repository allows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": MODEL_CONFIG, "preprocess_cfg": PREPROCESS_CONFIG}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in model.state_dict().items()
    }
    save_file(weights, folder / "open_clip_model.safetensors")
    size_bytes = sum(path.stat().st_size for path in folder.iterdir())
    if size_bytes >= SIZE_LIMIT_BYTES:
        raise ValueError(f"{folder}: {size_bytes} bytes, the limit is {SIZE_LIMIT_BYTES}")
    return size_bytes


class OpenedModel:
    """The model as the atlas itself opens it: OpenCLIP, `local-dir:`, its own preprocessing."""

    def __init__(self, folder: Path) -> None:
        """Load the folder; raises what OpenCLIP raises when it is not a model."""
        name = f"local-dir:{folder}"
        model, preprocess = open_clip.create_model_from_pretrained(name)
        self._model = model.eval()
        self._preprocess = preprocess
        self._tokenizer = open_clip.get_tokenizer(name)

    @torch.inference_mode()
    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Unit vectors, float32 (n x dimension)."""
        vectors: torch.Tensor = self._model.encode_text(self._tokenizer(texts), normalize=True)
        return vectors.float()

    @torch.inference_mode()
    def encode_pictures(self, pictures: list[Any], batch: int = 128) -> torch.Tensor:
        """Unit vectors, float32 (n x dimension), of PIL pictures."""
        vectors = []
        for start in range(0, len(pictures), batch):
            pixels = torch.stack([self._preprocess(p) for p in pictures[start : start + batch]])
            vectors.append(self._model.encode_image(pixels, normalize=True).float())
        return torch.cat(vectors)
