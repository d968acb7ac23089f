"""Which devices there are here, and in what numbers they count.

Knows torch, no models. Thread rule: pure functions, safe from any thread.
"""

from __future__ import annotations

import os
import shutil

import torch
from torch.utils._triton import has_triton

from atlas.errors import EncoderError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def device_of(encoder: str, device: str) -> torch.device:
    """The torch device of a setting: `auto` is the first CUDA GPU where there is one, else the CPU.

    Raises EncoderError, naming the encoder, where torch sees no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise EncoderError(encoder, f"torch knows no device {device!r}") from error
    seen = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }.get(found.type, 0)
    if (found.index or 0) >= seen:
        raise EncoderError(encoder, f"torch sees no device {device!r} here; take auto or cpu")
    return found


def devices_for_building(device: str) -> list[str]:
    """All devices that a build may use for a setting: every CUDA GPU for `auto`, else the one."""
    if device == "auto" and torch.cuda.is_available():
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu" if device == "auto" else device]


def same_device(one: torch.device, other: torch.device) -> bool:
    """Whether two names mean one device: `cuda` is `cuda:0`."""
    return (one.type, one.index or 0) == (other.type, other.index or 0)


def dtype_of(encoder: str, dtype: str, device: torch.device) -> torch.dtype:
    """The compute dtype of a setting: `auto` is bfloat16 on CUDA, float32 elsewhere."""
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in _DTYPES:
        raise EncoderError(encoder, f"dtype is auto, {', '.join(_DTYPES)}; not {dtype!r}")
    return _DTYPES[dtype]


def compiles_by_itself(device: torch.device) -> bool:
    """Whether `compile = "auto"` compiles: on a GPU, with Triton and the C compiler that it needs.

    On a CPU compiling takes longer than most builds would gain.
    """
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    return device.type == "cuda" and has_triton() and compiler is not None
