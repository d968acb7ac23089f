"""Which devices a setting means, on machines with and without GPUs."""

from __future__ import annotations

import shutil

import pytest
import torch

from atlas.errors import EncoderError
from atlas.search import devices
from atlas.search.devices import (
    compiles_by_itself,
    device_of,
    devices_for_building,
    dtype_of,
    same_device,
)


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Have torch see so many CUDA GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_a_build_takes_every_gpu_and_a_server_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break: seven of eight GPUs stand still, or a server loads its model eight times."""
    with_gpus(monkeypatch, 3)
    assert devices_for_building("auto") == ["cuda:0", "cuda:1", "cuda:2"]
    assert devices_for_building("cuda:1") == ["cuda:1"]
    assert device_of("test", "auto") == torch.device("cuda")
    assert same_device(torch.device("cuda"), torch.device("cuda:0"))
    assert not same_device(torch.device("cuda:0"), torch.device("cuda:1"))
    with pytest.raises(EncoderError, match="no device 'cuda:3' here"):
        device_of("test", "cuda:3")


def test_without_a_gpu_all_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break: a plan written for a GPU machine fails with an error of CUDA's."""
    with_gpus(monkeypatch, 0)
    assert devices_for_building("auto") == ["cpu"]
    assert device_of("test", "auto") == torch.device("cpu")
    for device in ("cuda", "nonsense"):
        with pytest.raises(EncoderError, match=r"torch (sees|knows) no device"):
            device_of("test", device)


def test_numbers_follow_the_device() -> None:
    """Would break: vectors made on a CPU are those of bfloat16, or a GPU computes in float32."""
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert dtype_of("test", "auto", cpu) == torch.float32
    assert dtype_of("test", "auto", gpu) == torch.bfloat16
    assert dtype_of("test", "float16", cpu) == torch.float16
    with pytest.raises(EncoderError, match="dtype is auto, float32"):
        dtype_of("test", "int8", cpu)


def test_only_what_can_compile_compiles_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break: a build in a container without a C compiler fails at its first batch."""
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(devices, "has_triton", lambda: True)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/gcc" if name == "gcc" else None)
    assert compiles_by_itself(torch.device("cuda"))
    assert not compiles_by_itself(torch.device("cpu"))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert not compiles_by_itself(torch.device("cuda"))
    monkeypatch.setattr(devices, "has_triton", lambda: False)
    monkeypatch.setenv("CC", "/opt/bin/cc")
    assert not compiles_by_itself(torch.device("cuda"))
