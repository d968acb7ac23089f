"""Turns texts and pictures into unit vectors with any OpenCLIP model.

Knows models, and nothing of bundles, rows or HTTP. Thread rule: an encoder does not change after
loading, so any thread may call it. `prepare` gains from many threads (Pillow releases the GIL);
the model gains nothing from a second caller, so keep it to one thread. The thread count of torch
is for the owner of the process to set (OMP_NUM_THREADS), never set here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn.functional import normalize

from atlas.errors import EncoderError
from atlas.search.checkpoints import Checkpoint, find_checkpoint, fingerprint
from atlas.search.framing import Framing, Pixels

# isort: split
import open_clip

Vectors = npt.NDArray[np.float32]

# Batches given to the device before the first of them is waited for: one computes while the next
# is copied; more would only hold memory.
BATCHES_IN_FLIGHT = 2


class EncoderChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model to load and how to run it.

    `spec` is `hf-hub:owner/name`, `local-dir:path` (from the current folder unless absolute) or a
    name known to OpenCLIP with `pretrained`, a tag or a checkpoint file. `device` is `auto` (CUDA
    where there is one, else CPU) or what torch calls it; `dtype` is the compute dtype, where
    `auto` is bfloat16 on CUDA and float32 elsewhere. `compile` compiles the image tower.
    """

    spec: str
    pretrained: str | None = None
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: int = 64
    compile: bool = False


class Encoder(Protocol):
    """What makes the vectors of one space; every vector is float32 and of length 1."""

    @property
    def dim(self) -> int:
        """Number of dimensions of a vector."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex of weights and geometry: equal for vectors that may be compared."""

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dim]; a text beyond the context length is cut at its end."""

    def encode_pictures(self, pictures: Sequence[Image.Image]) -> Vectors:
        """float32 [len(pictures), dim]."""


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model in its compute dtype on its device, with what is known of its weights."""

    model: Any
    tokenizer: Callable[[list[str]], torch.Tensor]
    dim: int
    fingerprint: str
    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class _Pending:
    """Vectors on their way from the device; `pixels` keeps the pinned copy alive until then."""

    encoder: str
    host: torch.Tensor
    rows: int
    copied: torch.cuda.Event | None
    pixels: torch.Tensor

    def vectors(self) -> Vectors:
        """Wait for this batch alone."""
        if self.copied is not None:
            self.copied.synchronize()
        return _checked(self.encoder, self.host[: self.rows].numpy())


class OpenClipEncoder:
    """One OpenCLIP model on one device.

    `preprocessing` says how a picture becomes the model's input: size (height, width), mean, std,
    interpolation, resize mode, fill colour; it goes into the bundle beside the vectors.
    Vectors for one batch are the same every time on a CPU; another batch size or device moves
    them by rounding (under 1e-4 in float32).
    """

    normalised = True

    def __init__(self, choice: EncoderChoice, loaded: LoadedModel) -> None:
        self.spec = choice.spec
        self.pretrained = choice.pretrained
        self.name = choice.spec.rstrip("/").rpartition("/")[2].rpartition(":")[2]
        self.batch_size = choice.batch_size
        self.dim = loaded.dim
        self.fingerprint = loaded.fingerprint
        self.device = loaded.device
        self.dtype = loaded.dtype
        self.context_length = int(loaded.model.context_length)
        self._framing = Framing(choice.spec, loaded.model.visual.preprocess_cfg)
        self.preprocessing = self._framing.description
        self._mean = torch.tensor(self._framing.mean, device=self.device).view(3, 1, 1)
        self._std = torch.tensor(self._framing.std, device=self.device).view(3, 1, 1)
        self._tokenizer = loaded.tokenizer
        # The tokenizers of Hugging Face fail with "Already borrowed" in two threads at once.
        self._tokenizer_lock = threading.Lock()
        self._encode_text: Callable[[torch.Tensor], torch.Tensor] = loaded.model.encode_text
        self._encode_image: Callable[[torch.Tensor], torch.Tensor] = loaded.model.encode_image
        self._fixed_batch = choice.compile
        if choice.compile:
            self._encode_image = torch.compile(loaded.model.encode_image, dynamic=False)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dim], unit length, in order.

        Text is cut by the tokenizer at `context_length` tokens, start and end marks included
        (77 for CLIP and BioCLIP: some 50 English words); nothing is raised.
        """
        parts = []
        with torch.inference_mode():
            for span in _spans(len(texts), self.batch_size):
                with self._tokenizer_lock:
                    tokens = self._tokenizer(list(texts[span]))
                features = self._encode_text(tokens.to(self.device))
                parts.append(normalize(features.float(), dim=-1))
            if not parts:
                return self._no_vectors()
            return _checked(self.spec, torch.cat(parts).cpu().numpy())

    def encode_pictures(self, pictures: Sequence[Image.Image]) -> Vectors:
        """float32 [len(pictures), dim], unit length, in order; prepares and encodes."""
        spans = _spans(len(pictures), self.batch_size)
        batches = (np.stack([self.prepare(picture) for picture in pictures[s]]) for s in spans)
        return np.concatenate([self._no_vectors(), *self.encode_batches(batches)])

    def prepare(self, picture: Image.Image) -> Pixels:
        """The picture resized and cropped as the model wants it: uint8 [3, height, width].

        Safe in many threads at once.
        """
        return self._framing.frame(picture)

    def encode_prepared(self, pixels: Pixels) -> Vectors:
        """float32 [n, dim] from prepared pictures stacked as uint8 [n, 3, height, width]."""
        batches = (pixels[span] for span in _spans(len(pixels), self.batch_size))
        return np.concatenate([self._no_vectors(), *self.encode_batches(batches)])

    def encode_batches(self, batches: Iterable[Pixels]) -> Iterator[Vectors]:
        """Vectors of each batch in turn, while the next is already on the device.

        Batches are uint8 [up to batch_size, 3, height, width]. This is the way to encode a
        stream: on CUDA nothing waits for the batch that was just handed over.
        """
        pending: deque[_Pending] = deque()
        for pixels in batches:
            pending.append(self._launch(pixels))
            if len(pending) == BATCHES_IN_FLIGHT:
                yield pending.popleft().vectors()
        while pending:
            yield pending.popleft().vectors()

    def _launch(self, pixels: Pixels) -> _Pending:
        """Hand one batch to the device and return at once."""
        self._framing.require(pixels)
        rows = len(pixels)
        if rows > self.batch_size:
            raise ValueError(f"a batch of {rows} pictures exceeds batch_size {self.batch_size}")
        if self._fixed_batch and rows < self.batch_size:
            # A compiled tower is compiled again for every new shape: fill the last batch up.
            filler = np.zeros((self.batch_size - rows, *pixels.shape[1:]), dtype=np.uint8)
            pixels = np.concatenate([pixels, filler])
        with torch.inference_mode():
            source = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
            on_cuda = self.device.type == "cuda"
            if on_cuda:
                source = source.pin_memory()
            inputs = source.to(self.device, non_blocking=on_cuda).float().div_(255)
            inputs = inputs.sub_(self._mean).div_(self._std).to(self.dtype)
            vectors = normalize(self._encode_image(inputs).float(), dim=-1)
            if not on_cuda:
                return _Pending(self.spec, vectors.cpu(), rows, None, source)
            host = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
            host.copy_(vectors, non_blocking=True)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record(torch.cuda.current_stream(self.device))
            return _Pending(self.spec, host, rows, copied, source)

    def _no_vectors(self) -> Vectors:
        return np.zeros((0, self.dim), dtype=np.float32)


def load_encoder(choice: EncoderChoice) -> OpenClipEncoder:
    """Load a model with its weights; EncoderError says what is missing and what to do.

    The weights are read once in float32 on the CPU, fingerprinted, then cast and moved.
    """
    device = _device(choice)
    dtype = _dtype(choice, device)
    if choice.batch_size < 1:
        raise EncoderError(choice.spec, f"batch_size must be at least 1, not {choice.batch_size}")
    checkpoint = find_checkpoint(choice.spec, choice.pretrained)
    try:
        tokenizer = open_clip.get_tokenizer(checkpoint.model_name)
    except Exception as error:
        raise EncoderError(
            choice.spec,
            f"its tokenizer cannot be loaded ({error}). SigLIP models need the package "
            "`transformers` and tokenizer files beside the weights or in the local hub cache",
        ) from error
    model = _read_model(choice.spec, checkpoint)
    mark = fingerprint(model.state_dict(), checkpoint.geometry)
    # Batch normalisation in float32 was tried: it moved a bfloat16 vector's cosine to the float32
    # one from 0.999990 to 0.999992 (resnet10t), so the whole model is cast.
    model.to(device=device, dtype=dtype)
    return OpenClipEncoder(
        choice,
        LoadedModel(
            model=model,
            tokenizer=tokenizer,
            dim=int(checkpoint.geometry["embed_dim"]),
            fingerprint=mark,
            device=device,
            dtype=dtype,
        ),
    )


def _read_model(spec: str, checkpoint: Checkpoint) -> torch.nn.Module:
    """The model in float32 on the CPU, ready for inference."""
    try:
        model: torch.nn.Module = open_clip.create_model(
            checkpoint.model_name,
            pretrained=checkpoint.pretrained,
            precision="fp32",
            device="cpu",
            force_quick_gelu=checkpoint.quick_gelu,
            pretrained_text=False,
            require_pretrained=True,
        )
    except Exception as error:
        raise EncoderError(
            spec, f"its weights or configuration cannot be read, or do not fit each other: {error}"
        ) from error
    return model.eval().requires_grad_(False)


def _device(choice: EncoderChoice) -> torch.device:
    if choice.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(choice.device)
    except RuntimeError as error:
        raise EncoderError(choice.spec, f"torch knows no device {choice.device!r}") from error
    seen = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }.get(device.type, 0)
    if (device.index or 0) >= seen:
        raise EncoderError(
            choice.spec, f"torch sees no device {choice.device!r} here; take auto or cpu"
        )
    return device


def _dtype(choice: EncoderChoice, device: torch.device) -> torch.dtype:
    if choice.dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if choice.dtype not in dtypes:
        raise EncoderError(choice.spec, f"dtype is auto, {', '.join(dtypes)}; not {choice.dtype!r}")
    return dtypes[choice.dtype]


def _checked(encoder: str, vectors: Vectors) -> Vectors:
    """A NaN here would sit in an index unseen and push every honest neighbour out."""
    if not np.isfinite(vectors).all():
        row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise EncoderError(encoder, f"vector {row} of a batch is not finite; take dtype float32")
    return vectors


def _spans(items: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, items, size)]
