"""How a picture is brought to the size that a model reads, with Pillow alone.

Gives the bytes of OpenCLIP's own steps (a test compares them), without torch: whoever decodes
pictures in many processes would load it in each. Thread rule: immutable; many threads may frame
at once, and Pillow releases the GIL while it resizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

Pixels = npt.NDArray[np.uint8]

# Beyond this ratio of its sides a picture is cropped while it is resized: resized whole, 30,000 x
# 10 pixels would become 672,000 x 224. Below it the bytes are OpenCLIP's own, above it they are
# nearly so.
_LONGEST_WHOLE = 8


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The geometry of a model's input: `height` and `width` in pixels, and the way there.

    `resize_mode` as OpenCLIP has it: `shortest` fits the shorter side and crops the longer one at
    its centre, `longest` fits the longer side and fills up with `fill` (0-255), `squash` ignores
    the ratio. `bicubic` is the other filter than `bilinear`.
    """

    height: int
    width: int
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    bicubic: bool = True
    fill: int = 0

    def frame(self, picture: Image.Image, into: Pixels | None = None) -> Pixels:
        """uint8 [3, height, width] of a picture of any size and colour mode.

        Written to `into` where it is given, which saves a copy.
        """
        picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        levels = np.asarray(self._sized(picture)).transpose(2, 0, 1)
        if into is None:
            return np.ascontiguousarray(levels)
        np.copyto(into, levels)
        return into

    def _sized(self, picture: Image.Image) -> Image.Image:
        if self.resize_mode == "squash":
            return self._resized(picture, self.width, self.height)
        width, height = self._kept_ratio(picture)
        ratio = max(width / self.width, height / self.height)
        if self.resize_mode == "shortest" and ratio > _LONGEST_WHOLE:
            return self._resized_middle(picture, width, height)
        return self._cropped(self._resized(picture, width, height))

    def _kept_ratio(self, picture: Image.Image) -> tuple[int, int]:
        """Width and height before cropping; rounded as OpenCLIP rounds them, never 0."""
        width, height = picture.size
        if self.resize_mode == "shortest" and self.width == self.height:
            long = int(self.height * max(width, height) / min(width, height))
            return (self.width, long) if width <= height else (long, self.height)
        pick = max if self.resize_mode == "longest" else min
        ratio = pick(height / self.height, width / self.width)
        return max(1, round(width / ratio)), max(1, round(height / ratio))

    def _resized(self, picture: Image.Image, width: int, height: int) -> Image.Image:
        if picture.size == (width, height):
            return picture
        return picture.resize((width, height), self._filter)

    def _resized_middle(self, picture: Image.Image, width: int, height: int) -> Image.Image:
        """The crop of the resized picture, without resizing what is cut away."""
        left, top = round((width - self.width) / 2), round((height - self.height) / 2)
        across, down = picture.width / width, picture.height / height
        right, bottom = (left + self.width) * across, (top + self.height) * down
        box = (
            left * across,
            top * down,
            min(right, picture.width),
            min(bottom, picture.height),
        )
        return picture.resize((self.width, self.height), self._filter, box=box)

    def _cropped(self, picture: Image.Image) -> Image.Image:
        """Filled up where it is smaller than the frame, then cropped at its centre."""
        more_x, more_y = max(0, self.width - picture.width), max(0, self.height - picture.height)
        if more_x or more_y:
            border = (more_x // 2, more_y // 2, (more_x + 1) // 2, (more_y + 1) // 2)
            picture = ImageOps.expand(picture, border, fill=(self.fill,) * 3)
        left = round((picture.width - self.width) / 2)
        top = round((picture.height - self.height) / 2)
        return picture.crop((left, top, left + self.width, top + self.height))

    @property
    def _filter(self) -> Image.Resampling:
        # OpenCLIP drops the filter that was asked for where it fits a frame that is not square.
        uneven = self.resize_mode == "shortest" and self.width != self.height
        bicubic = self.bicubic or uneven
        return Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
