"""Trains the small OpenCLIP model on the project's own drawings.

`train` is one seeded run that can be interrupted: a checkpoint is written every minute or so and
an identical call takes it up again. It is given its output folder and never reads the records.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from illustrated.captions import ATTRIBUTES, random_caption
from illustrated.drawings_cache import SET_SIZE, Drawings, render_drawings
from illustrated.losses import AttributeHeads, match_matrix, retrieval_loss
from illustrated.model_folder import (
    IMAGE_SIDE_PX,
    MODEL_CONFIG,
    PREPROCESS_CONFIG,
    new_model,
    save_model,
    tokenizer,
)

# The accent is the smallest part and the slowest to be learned; see docs/illustrated.md.
_HEAD_WEIGHTS = {
    "group": 0.5,
    "plan": 0.5,
    "body": 1.0,
    "accent": 2.0,
    "pattern": 1.0,
    "habitat": 1.0,
}
_CHECKPOINT_EVERY_S = 60.0

Rows = npt.NDArray[np.int64]


class TrainingPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides a training run; the same plan resumes the same run.

    The first part, up to `small_until`, sees pictures of `small_side_px`, which takes half the
    time of full-size ones (measured: 1.2 against 2.3 processor seconds a step of 128).
    """

    steps: int = 1600
    drawings: int = 40_000
    batch: int = 128
    captions_each: int = 2
    small_side_px: int = 64
    small_until: float = 0.55
    peak_rate: float = 2e-3
    warm_up_steps: int = 150
    heads_until: float = 0.85
    weight_decay: float = 0.05
    seed: int = 7
    device: str = "auto"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One report of a running training."""

    step: int
    steps: int
    loss: float
    retrieval: float
    accent: float
    pairs_per_s: float


def chosen_device(name: str) -> torch.device:
    """`auto` is a CUDA GPU where there is one, else the processor."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def train(
    plan: TrainingPlan,
    folder: Path,
    work_folder: Path,
    report: Callable[[Progress], None],
    drawn: Callable[[int], None],
) -> int:
    """Train and write the model into `folder`; returns its size in bytes.

    `work_folder` holds rendered drawings and the checkpoint. `drawn` is told how many more
    drawings are ready, `report` how the loss stands.
    """
    drawings = render_drawings(plan.drawings, plan.seed, IMAGE_SIDE_PX, work_folder, drawn)
    trainer = _Trainer(plan, drawings)
    checkpoint = work_folder / "checkpoint.pt"
    trainer.resume(checkpoint)
    last_saved_s = time.monotonic()
    while trainer.step < plan.steps:
        began_s = time.monotonic()
        loss, retrieval, accent = trainer.advance()
        now_s = time.monotonic()
        if trainer.step % 10 == 0 or trainer.step == plan.steps:
            speed = plan.batch / (now_s - began_s)
            report(
                Progress(
                    step=trainer.step,
                    steps=plan.steps,
                    loss=loss,
                    retrieval=retrieval,
                    accent=accent,
                    pairs_per_s=speed,
                )
            )
        if now_s - last_saved_s > _CHECKPOINT_EVERY_S:
            trainer.save(checkpoint)
            last_saved_s = now_s
    size_bytes = save_model(trainer.model.float(), folder)
    checkpoint.unlink(missing_ok=True)
    return size_bytes


class _Trainer:
    """Model, optimiser and sampler of one run. One thread."""

    def __init__(self, plan: TrainingPlan, drawings: Drawings) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.step = 0
        self.device = chosen_device(plan.device)
        self.model = new_model().to(self.device, memory_format=torch.channels_last)
        self.heads = AttributeHeads(MODEL_CONFIG["embed_dim"]).to(self.device)
        self.word_heads = AttributeHeads(MODEL_CONFIG["embed_dim"]).to(self.device)
        self._drawings = drawings
        self._codes = torch.from_numpy(drawings.codes())
        self._tokenize = tokenizer()
        self._weights = torch.tensor([_HEAD_WEIGHTS[a] for a in ATTRIBUTES], device=self.device)
        self._mean, self._std = (
            torch.tensor(PREPROCESS_CONFIG[name], device=self.device)[:, None, None] * 255.0
            for name in ("mean", "std")
        )
        self.optimiser = self._new_optimiser()

    def _new_optimiser(self) -> torch.optim.AdamW:
        named = [
            *self.model.named_parameters(),
            *self.heads.named_parameters(),
            *self.word_heads.named_parameters(),
        ]
        decayed = [p for name, p in named if p.ndim >= 2 and "embedding" not in name]
        kept = [p for name, p in named if p.ndim < 2 or "embedding" in name]
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": self.plan.weight_decay},
            {"params": kept, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.plan.peak_rate, betas=(0.9, 0.98), fused=True)

    def advance(self) -> tuple[float, float, float]:
        """One optimiser step; returns the loss, its retrieval part and the accent head's part."""
        plan, share = self.plan, self.step / self.plan.steps
        # Every step has its own generators, so that a resumed run equals an undisturbed one.
        random = np.random.default_rng([plan.seed, 3, self.step])
        torch.manual_seed(plan.seed * 1_000_003 + self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        rows = self._rows(random)
        tokens, source, named = self._captions(random, rows)
        pixels = self._pixels(random, rows)
        codes = self._codes[rows].to(self.device)
        picture = self.model.encode_image(pixels)
        words = self.model.encode_text(tokens)
        retrieval = retrieval_loss(
            F.normalize(words, dim=-1),
            F.normalize(picture, dim=-1),
            self.model.logit_scale.exp(),
            match_matrix(codes, source, named),
        )
        seen = self.heads(picture, codes)
        said = self.word_heads(words, codes[source], named)
        fade = max(0.0, 1.0 - share / plan.heads_until)
        loss = retrieval + fade * ((seen * self._weights).mean() + 0.3 * said.mean())
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0.0, float(np.log(60.0)))
        self.step += 1
        accent = seen[ATTRIBUTES.index("accent")]
        return loss.item(), retrieval.item(), accent.item()

    def _rate(self) -> float:
        """Linear warm-up, then a cosine to nothing."""
        plan = self.plan
        if self.step < plan.warm_up_steps:
            return plan.peak_rate * (self.step + 1) / plan.warm_up_steps
        along = (self.step - plan.warm_up_steps) / max(1, plan.steps - plan.warm_up_steps)
        return plan.peak_rate * 0.5 * (1.0 + float(np.cos(np.pi * along)))

    def _rows(self, random: np.random.Generator) -> Rows:
        """Row numbers of a batch: whole sets of near confusions."""
        sets = random.integers(self.plan.drawings // SET_SIZE, size=self.plan.batch // SET_SIZE)
        rows: Rows = (sets[:, None] * SET_SIZE + np.arange(SET_SIZE)).ravel()
        return rows

    def _captions(self, random: np.random.Generator, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, the drawing that each caption was written for, and the attributes it tells."""
        source = np.repeat(np.arange(len(rows)), self.plan.captions_each)
        captions = [random_caption(random, self._drawings.looks[rows[s]]) for s in source]
        named = [[attribute in caption.named for attribute in ATTRIBUTES] for caption in captions]
        tokens = self._tokenize([caption.text for caption in captions])
        return (
            tokens.to(self.device),
            torch.from_numpy(source).to(self.device),
            torch.tensor(named, device=self.device),
        )

    def _pixels(self, random: np.random.Generator, rows: Rows) -> Tensor:
        """Normalised pictures, each a little moved, scaled, turned, mirrored and relit."""
        pixels = torch.from_numpy(self._drawings.pixels[rows]).to(self.device)
        pictures = pixels.permute(0, 3, 1, 2).float()
        count = len(rows)
        angle = random.uniform(-0.12, 0.12, count)
        scale = random.uniform(0.88, 1.08, count)
        mirror = random.choice([-1.0, 1.0], count)
        moves = np.empty((count, 2, 3), dtype=np.float32)
        moves[:, 0] = np.stack([np.cos(angle) * mirror, -np.sin(angle), angle * 0], axis=1)
        moves[:, 1] = np.stack([np.sin(angle) * mirror, np.cos(angle), angle * 0], axis=1)
        moves *= scale[:, None, None].astype(np.float32)
        moves[:, :, 2] = random.uniform(-0.08, 0.08, (count, 2))
        small = self.step < self.plan.small_until * self.plan.steps
        side_px = self.plan.small_side_px if small else pictures.shape[-1]
        grid = F.affine_grid(
            torch.from_numpy(moves).to(self.device),
            [count, 3, side_px, side_px],
            align_corners=False,
        )
        pictures = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
        light = random.uniform(0.9, 1.1, (count, 1, 1, 1)) * random.uniform(
            0.97, 1.03, (count, 3, 1, 1)
        )
        pictures = pictures * torch.from_numpy(light.astype(np.float32)).to(self.device)
        pictures = (pictures.clamp(0, 255) - self._mean) / self._std
        return pictures.contiguous(memory_format=torch.channels_last)

    def save(self, path: Path) -> None:
        """Write everything that a resumed run needs, then swap it in."""
        unfinished = path.with_suffix(".unfinished")
        state = {
            "plan": msgspec.to_builtins(self.plan),
            "step": self.step,
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "word_heads": self.word_heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, unfinished)
        unfinished.replace(path)

    def resume(self, path: Path) -> None:
        """Take up a checkpoint of the same plan; one of another plan is refused."""
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["plan"] != msgspec.to_builtins(self.plan):
            raise ValueError(f"{path} belongs to another plan: {state['plan']}; remove it first")
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.word_heads.load_state_dict(state["word_heads"])
        self.optimiser.load_state_dict(state["optimiser"])
