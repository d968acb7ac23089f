"""Finds the weights and the geometry of an OpenCLIP model, and fingerprints them.

Knows the three ways in which OpenCLIP names a model and says in plain words what is missing; it
builds no model. Thread rule: functions without state, called while an encoder is loaded.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import atlas.search.torchvision_cpu  # noqa: F401 - must be imported before open_clip
from atlas.errors import EncoderError

# isort: split
import open_clip
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from open_clip.pretrained import (
    download_pretrained,
    download_pretrained_from_hf,
    get_pretrained_cfg,
    list_pretrained_tags_by_model,
)

HUB = "hf-hub:"
FOLDER = "local-dir:"
CONFIG_NAME = "open_clip_config.json"
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pth")

_FETCH = (
    "Where there is no network, fetch the model on another machine (`hf download {model}`) and "
    "copy the hub cache here, or copy the files into a folder and name that: local-dir:FOLDER"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What OpenCLIP is given: a model name, its weights, and the geometry that both describe."""

    model_name: str
    pretrained: str | None
    geometry: Mapping[str, Any]
    quick_gelu: bool = False


def find_checkpoint(spec: str, pretrained: str | None) -> Checkpoint:
    """Find the weights of `hf-hub:owner/name`, `local-dir:path` or NAME with `pretrained`.

    `pretrained` is a tag known to OpenCLIP or the path of a checkpoint file, and belongs to NAME
    only. A missing hub file is downloaded unless HF_HUB_OFFLINE forbids it. Raises EncoderError.
    """
    if spec.startswith((HUB, FOLDER)):
        if pretrained is not None:
            raise EncoderError(spec, f"brings its own weights; take pretrained={pretrained!r} away")
        geometry = _hub_geometry(spec) if spec.startswith(HUB) else _folder_geometry(spec)
        found = Checkpoint(model_name=spec, pretrained=None, geometry=geometry)
    else:
        found = _named_checkpoint(spec, pretrained)
    for tower, words in (("vision_cfg", "image"), ("text_cfg", "text")):
        if not found.geometry.get(tower):
            raise EncoderError(spec, f"has no {words} tower: its configuration lacks {tower}")
    if "embed_dim" not in found.geometry:
        raise EncoderError(spec, "its configuration lacks embed_dim")
    return found


def _folder_geometry(spec: str) -> dict[str, Any]:
    folder = Path(spec.removeprefix(FOLDER))
    if not folder.is_dir():
        raise EncoderError(spec, f"there is no folder {folder.absolute()}")
    config = folder / CONFIG_NAME
    if not config.is_file():
        raise EncoderError(spec, f"the folder has no {CONFIG_NAME}")
    if not any(path.suffix in WEIGHT_SUFFIXES for path in folder.iterdir()):
        raise EncoderError(spec, f"the folder has no weights ({', '.join(WEIGHT_SUFFIXES)})")
    return _read_geometry(spec, config)


def _hub_geometry(spec: str) -> dict[str, Any]:
    model = spec.removeprefix(HUB)
    if model.count("/") != 1:
        raise EncoderError(spec, "a model on the hub is named hf-hub:owner/name")
    paths: list[str] = []
    for what, filename in (("configuration", CONFIG_NAME), ("weights", None)):
        try:
            paths.append(download_pretrained_from_hf(model, filename=filename))
        except FileNotFoundError as error:
            raise EncoderError(
                spec,
                f"its {what} are not in the local hub cache, and could not be downloaded (the hub "
                f"is out of reach, HF_HUB_OFFLINE is set, or it has no such model). "
                f"{_FETCH.format(model=model)}",
            ) from error
    return _read_geometry(spec, Path(paths[0]))


def _named_checkpoint(spec: str, pretrained: str | None) -> Checkpoint:
    name = spec.replace("/", "-")
    geometry = open_clip.get_model_config(name)
    if geometry is None:
        close = difflib.get_close_matches(name, open_clip.list_models(), n=3)
        hint = f" Close names: {', '.join(close)}." if close else ""
        raise EncoderError(
            spec,
            f"OpenCLIP knows no such model.{hint} A model on the hub is hf-hub:owner/name, a "
            "folder is local-dir:path",
        )
    tags = ", ".join(list_pretrained_tags_by_model(name)) or "none"
    if pretrained is None:
        raise EncoderError(
            spec, f"needs `pretrained`: a checkpoint file, or one of its tags ({tags})"
        )
    tag = get_pretrained_cfg(name, pretrained)
    if tag:
        _fetch_tag(spec, pretrained, tag)
    elif not Path(pretrained).is_file():
        raise EncoderError(
            spec, f"{pretrained!r} is neither a checkpoint file nor one of its tags ({tags})"
        )
    # OpenCLIP only warns where a tag was trained with QuickGELU and the named geometry has GELU;
    # the vectors would be wrong, so the tag decides.
    quick_gelu = bool(tag.get("quick_gelu", False))
    if quick_gelu:
        geometry["quick_gelu"] = True
    return Checkpoint(
        model_name=name, pretrained=pretrained, geometry=geometry, quick_gelu=quick_gelu
    )


def _fetch_tag(spec: str, tag: str, config: dict[str, Any]) -> None:
    try:
        download_pretrained(config)
    except Exception as error:
        model = str(config.get("hf_hub", "")).strip("/") or spec
        raise EncoderError(
            spec,
            f"the weights of tag {tag!r} are not in the local cache, and could not be downloaded. "
            f"{_FETCH.format(model=model)}",
        ) from error


def _read_geometry(spec: str, path: Path) -> dict[str, Any]:
    """The `model_cfg` of an `open_clip_config.json`."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(spec, f"{path} cannot be read: {error}") from error
    geometry = config.get("model_cfg") if isinstance(config, dict) else None
    if not isinstance(geometry, dict):
        raise EncoderError(spec, f"{path} has no model_cfg")
    return geometry


def fingerprint(state: Mapping[str, torch.Tensor], geometry: Mapping[str, Any]) -> str:
    """SHA-256 in hex over every tensor of the model and the geometry that joins them.

    `state` is on the CPU, floating tensors in float32, as loaded before any cast to the compute
    dtype: the result then depends on neither device, compute dtype, file format nor path. Each
    tensor adds its name, dtype, shape and little-endian bytes, in the order of names.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps(_essential(geometry), sort_keys=True).encode())
    for name in sorted(state):
        tensor = state[name].detach()
        plain = tensor.float() if tensor.is_floating_point() else tensor
        digest.update(f"\n{name} {plain.dtype} {list(plain.shape)}\n".encode())
        array = plain.contiguous().numpy()
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).data)
    return digest.hexdigest()


def _essential(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """The geometry without what only repeats a default or only concerns training.

    A configuration written out in full and a terse one then fingerprint alike, and so they do
    when a later OpenCLIP adds a field.
    """
    essential = {key: value for key, value in geometry.items() if value not in (None, False)}
    for tower, description in (("vision_cfg", CLIPVisionCfg), ("text_cfg", CLIPTextCfg)):
        defaults = {field.name: field.default for field in dataclasses.fields(description)}
        essential[tower] = {
            key: value
            for key, value in geometry[tower].items()
            if key not in _TRAINING_ONLY and (key not in defaults or value != defaults[key])
        }
    return essential


_TRAINING_ONLY = frozenset(
    {"patch_dropout", "timm_drop", "timm_drop_path", "timm_model_pretrained", "hf_model_pretrained"}
)
