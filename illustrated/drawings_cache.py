"""Training drawings, rendered once and kept as small pixel arrays.

Drawings come in sets of four: a look and three that differ from it in accent, habitat or body
colour, so that every batch holds the confusions that matter.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from illustrated.captions import ATTRIBUTES
from illustrated.drawing import draw
from illustrated.looks import (
    COLOURS,
    GROUPS,
    HABITATS,
    PATTERNS,
    PLANS,
    Look,
    is_held_out,
    random_look,
)

SET_SIZE = 4
# Pictures are reduced to the model's size from several sizes, as the atlas' own pictures are.
_RENDER_SIDES_PX = (112, 144, 176, 320)
_RENDER_SHARES = (0.3, 0.35, 0.25, 0.1)
_CHUNK = 64
VOCABULARY: dict[str, tuple[str, ...]] = {
    "group": GROUPS,
    "plan": tuple(plan for plans in PLANS.values() for plan in plans),
    "body": COLOURS,
    "accent": COLOURS,
    "pattern": PATTERNS,
    "habitat": HABITATS,
}


class Drawings(msgspec.Struct, frozen=True):
    """Pixels (n x side x side x 3, uint8) and the look of each."""

    pixels: npt.NDArray[np.uint8]
    looks: list[Look]

    def codes(self) -> npt.NDArray[np.int64]:
        """Attributes as numbers (n x 6), in the order of ATTRIBUTES."""
        rows = [[VOCABULARY[a].index(getattr(look, a)) for a in ATTRIBUTES] for look in self.looks]
        return np.array(rows, dtype=np.int64)


def training_looks(count: int, seed: int) -> list[Look]:
    """`count` looks (a multiple of four), none held out, as sets of near confusions."""
    random = np.random.default_rng([seed, 1])
    looks: list[Look] = []
    while len(looks) < count:
        base = _allowed(partial(random_look, random))
        looks.append(base)
        for kept in (("body", "habitat"), ("body", "accent"), ("accent", "habitat")):
            fixed = {name: getattr(base, name) for name in ("group", *kept)}
            looks.append(_allowed(partial(random_look, random, **fixed)))
    return looks[:count]


def _allowed(make: Callable[[], Look]) -> Look:
    while is_held_out(look := make()):
        pass
    return look


def render_drawings(
    count: int, seed: int, side_px: int, folder: Path, done: Callable[[int], None]
) -> Drawings:
    """Drawings of `training_looks`, from the folder where an earlier run left them.

    `done` is told how many more drawings are ready.
    """
    looks = training_looks(count, seed)
    path = folder / f"drawings-{count}-{seed}-{side_px}-{drawing_version()}.npy"
    if path.exists():
        return Drawings(np.load(path, mmap_mode="r"), looks)
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.empty((count, side_px, side_px, 3), dtype=np.uint8)
    jobs = [
        (start, looks[start : start + _CHUNK], seed, side_px) for start in range(0, count, _CHUNK)
    ]
    with multiprocessing.get_context("spawn").Pool() as pool:
        for start, chunk in pool.imap_unordered(_render_chunk, jobs):
            pixels[start : start + len(chunk)] = chunk
            done(len(chunk))
    unfinished = path.with_suffix(".unfinished.npy")
    np.save(unfinished, pixels)
    unfinished.rename(path)
    return Drawings(pixels, looks)


def drawing_version() -> str:
    """A short digest of the code that draws, so that old drawings are never taken for new ones."""
    here = Path(__file__).parent
    sources = sorted([here / "looks.py", *(here / "drawing").glob("*.py")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:10]


def _render_chunk(
    job: tuple[int, list[Look], int, int],
) -> tuple[int, npt.NDArray[np.uint8]]:
    start, looks, seed, side_px = job
    random = np.random.default_rng([seed, 2, start])
    rows = []
    for position, look in enumerate(looks):
        rendered_px = int(random.choice(_RENDER_SIDES_PX, p=_RENDER_SHARES))
        picture = draw(look, seed * 10_000_000 + start + position, rendered_px)
        rows.append(np.asarray(picture.resize((side_px, side_px), Image.Resampling.BICUBIC)))
    return start, np.stack(rows)
