"""Image towers with random weights, and what their device can do at most.

Loads torch: `benchmarks.embedding` imports this late, since decoding processes import that module.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from atlas.search.devices import device_of, dtype_of
from atlas.search.encoder import EncoderChoice, LoadedModel, OpenClipEncoder

# isort: split
import open_clip

# Sides of the matrices whose product shows what a device can do.
GPU_MATRIX, CPU_MATRIX = 8192, 2048


def random_encoder(choice: EncoderChoice, seed: int) -> OpenClipEncoder:
    """An encoder of OpenCLIP's geometry `choice.spec`, whose weights follow from the seed."""
    torch.manual_seed(seed)
    device = device_of(choice.spec, choice.device)
    dtype = dtype_of(choice.spec, choice.dtype, device)
    model = open_clip.create_model(choice.spec, pretrained=None, precision="fp32", device="cpu")
    model = model.eval().requires_grad_(False).to(device=device, dtype=dtype)
    loaded = LoadedModel(
        model=model,
        tokenizer=_no_texts,
        dim=int(open_clip.get_model_config(choice.spec)["embed_dim"]),
        fingerprint="0" * 64,
        device=device,
        dtype=dtype,
    )
    return OpenClipEncoder(choice, loaded)


def _no_texts(texts: list[str]) -> torch.Tensor:
    raise RuntimeError(f"pictures only, not {len(texts)} texts")


def flop_per_picture(spec: str) -> int:
    """Floating-point operations of one picture's way through a tower, a multiply-add being two."""
    model = open_clip.create_model(spec, pretrained=None, precision="fp32", device="cpu")
    model = copy.deepcopy(model.visual).eval().to("meta")
    height, width = (int(side) for side in model.image_size)
    fast = torch.backends.mha.get_fastpath_enabled()
    # The fused attention is not counted.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.empty(1, 3, height, width, device="meta"))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops())


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of one large matrix product on the device, the best of several."""
    side = GPU_MATRIX if device.type == "cuda" else CPU_MATRIX
    left = torch.rand(side, side, device=device, dtype=dtype)
    right = torch.rand(side, side, device=device, dtype=dtype)

    def multiply() -> None:
        torch.mm(left, right)

    return 2 * side**3 / min(_times(device, multiply, 10))


def model_rate(encoder: OpenClipEncoder, pictures: int) -> float:
    """Pictures a second through the model alone, from pixels that lie on the device."""
    height, width = encoder.frame.height, encoder.frame.width
    pixels = torch.randint(
        0, 256, (encoder.batch_size, 3, height, width), dtype=torch.uint8, device=encoder.device
    )

    def run() -> None:
        with torch.inference_mode():
            encoder.vectors_of(pixels)

    rounds = max(2, pictures // encoder.batch_size)
    times = _times(encoder.device, run, rounds)
    return encoder.batch_size * len(times) / sum(times)


def stream_rate(encoder: OpenClipEncoder, pictures: int) -> float:
    """Pictures a second through the model from framed pictures in memory, copies included."""
    height, width = encoder.frame.height, encoder.frame.width
    generator = np.random.default_rng(0)
    shape = (encoder.batch_size, 3, height, width)
    pixels = generator.integers(0, 256, shape, dtype=np.uint8)
    batches = max(2, pictures // encoder.batch_size)
    started_s = time.perf_counter()
    for _ in encoder.encode_batches(pixels for _ in range(batches)):
        pass
    return encoder.batch_size * batches / (time.perf_counter() - started_s)


def name_of(device: torch.device) -> str:
    """What people call the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def _times(device: torch.device, work: Callable[[], None], rounds: int) -> list[float]:
    """Seconds of each of `rounds` calls, after two that do not count."""
    for _ in range(2):
        work()
    if device.type != "cuda":
        times = []
        for _ in range(rounds):
            started_s = time.perf_counter()
            work()
            times.append(time.perf_counter() - started_s)
        return times
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(rounds + 1)]  # type: ignore[no-untyped-call]
    marks[0].record()
    for mark in marks[1:]:
        work()
        mark.record()
    marks[-1].synchronize()
    return [first.elapsed_time(last) / 1000 for first, last in itertools.pairwise(marks)]
