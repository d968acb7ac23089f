"""Turns texts and pictures into unit vectors with any OpenCLIP model.

Knows models, and nothing of bundles, rows or HTTP. Thread rule: an encoder does not change after
loading, so any thread may call it. `prepare` gains from many threads (Pillow releases the GIL);
the model gains nothing from a second caller, so keep it to one thread. The thread count of torch
is for the owner of the process to set (OMP_NUM_THREADS), never set here.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize

from atlas.errors import EncoderError
from atlas.search.checkpoints import Checkpoint, find_checkpoint, fingerprint
from atlas.search.devices import compiles_by_itself, device_of, dtype_of, same_device
from atlas.search.feed import BATCHES_IN_FLIGHT, Feed, Pending, Vectors
from atlas.search.frame import Pixels
from atlas.search.framing import Framing
from atlas.search.streams import streams_of

# isort: split
import open_clip


class EncoderChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model to load and how to run it.

    `spec` is `hf-hub:owner/name`, `local-dir:path` (from the current folder unless absolute) or a
    name known to OpenCLIP with `pretrained`, a tag or a checkpoint file. `device` is `auto` (CUDA
    where there is one, else CPU) or what torch calls it; `dtype` is the compute dtype, where
    `auto` is bfloat16 on CUDA and float32 elsewhere. `compile` compiles the image tower;
    `auto` does where that pays, on a GPU.
    """

    spec: str
    pretrained: str | None = None
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: int = 64
    compile: bool | Literal["auto"] = False


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
        self.frame = self._framing.frame
        self.preprocessing = self._framing.description
        self._mean = torch.tensor(self._framing.mean, device=self.device).view(3, 1, 1)
        self._std = torch.tensor(self._framing.std, device=self.device).view(3, 1, 1)
        self._tokenizer = loaded.tokenizer
        # The tokenizers of Hugging Face fail with "Already borrowed" in two threads at once.
        self._tokenizer_lock = threading.Lock()
        self._encode_text: Callable[[torch.Tensor], torch.Tensor] = loaded.model.encode_text
        self._encode_image: Callable[[torch.Tensor], torch.Tensor] = loaded.model.encode_image
        self._choice = choice
        self._loaded = loaded
        wanted = choice.compile
        self.compiled = compiles_by_itself(self.device) if wanted == "auto" else wanted
        if self.compiled:
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
        return self.frame.frame(picture)

    def encode_prepared(self, pixels: Pixels) -> Vectors:
        """float32 [n, dim] from prepared pictures stacked as uint8 [n, 3, height, width]."""
        batches = (pixels[span] for span in _spans(len(pixels), self.batch_size))
        return np.concatenate([self._no_vectors(), *self.encode_batches(batches)])

    def encode_batches(self, batches: Iterable[Pixels]) -> Iterator[Vectors]:
        """Vectors of each batch in turn, while the next is already on the device.

        Batches are uint8 [1 to batch_size, 3, height, width].
        """
        feed = self.feed()
        pending: deque[Pending] = deque()
        for pixels in batches:
            self._framing.require(pixels)
            rows = len(pixels)
            if rows > self.batch_size:
                raise ValueError(f"a batch of {rows} pictures exceeds batch_size {self.batch_size}")
            feed.buffer()[:rows] = pixels
            pending.append(feed.launch(rows))
            if len(pending) == BATCHES_IN_FLIGHT:
                yield pending.popleft().vectors()
        while pending:
            yield pending.popleft().vectors()

    def feed(self) -> Feed:
        """A stream of batches through the image tower, with buffers of its own."""
        return Feed(
            self.spec,
            self.vectors_of,
            streams_of(self.device),
            batch_size=self.batch_size,
            height=self.frame.height,
            width=self.frame.width,
            dim=self.dim,
            fixed=self.compiled,
        )

    def on(self, device: str) -> OpenClipEncoder:
        """The same encoder on another device, with a copy of the model; itself on its own."""
        target = device_of(self._choice.spec, device)
        if same_device(target, self.device):
            return self
        model = copy.deepcopy(self._loaded.model).to(target)
        return OpenClipEncoder(self._choice, replace(self._loaded, model=model, device=target))

    def vectors_of(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 unit vectors [n, dim] of uint8 [n, 3, height, width], both on the device."""
        inputs = pixels.float().div_(255).sub_(self._mean).div_(self._std).to(self.dtype)
        return normalize(self._encode_image(inputs).float(), dim=-1)

    def _no_vectors(self) -> Vectors:
        return np.zeros((0, self.dim), dtype=np.float32)


def load_encoder(choice: EncoderChoice) -> OpenClipEncoder:
    """Load a model with its weights; EncoderError says what is missing and what to do.

    The weights are read once in float32 on the CPU, fingerprinted, then cast and moved.
    """
    device = device_of(choice.spec, choice.device)
    dtype = dtype_of(choice.spec, choice.dtype, device)
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


def _checked(encoder: str, vectors: Vectors) -> Vectors:
    """A NaN would pass as a score and come first."""
    if not np.isfinite(vectors).all():
        row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise EncoderError(encoder, f"vector {row} of a batch is not finite; take dtype float32")
    return vectors


def _spans(items: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, items, size)]
