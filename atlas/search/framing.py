"""Brings a picture into the shape that a model reads: resized, cropped, 8-bit, channels first.

Runs OpenCLIP's own steps, so a vector made here is the vector that OpenCLIP would make. Knows no
weights. Thread rule: without state after construction; many threads may frame at once, and
Pillow releases the GIL while it resizes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import atlas.search.torchvision_cpu  # noqa: F401 - must be imported before open_clip
from atlas.errors import EncoderError

# isort: split
from open_clip.transform import PreprocessCfg, image_transform_v2
from torchvision.transforms import Normalize

Pixels = npt.NDArray[np.uint8]


class Framing:
    """The preprocessing of one model up to 8-bit pixels.

    `height` and `width` are in pixels; `mean` and `std`, one number for each of red, green, blue
    on the scale 0 to 1, are left to the device: a quarter of the bytes to hand over, and the same
    numbers.
    """

    def __init__(self, encoder: str, preprocessing: dict[str, Any]) -> None:
        config = PreprocessCfg(**preprocessing)
        *steps, _to_tensor, scaling = image_transform_v2(config, is_train=False).transforms
        if not isinstance(scaling, Normalize):
            raise EncoderError(encoder, "OpenCLIP ends its preprocessing in a way unknown here")
        size = config.size if isinstance(config.size, tuple | list) else [config.size] * 2
        self.height, self.width = (int(side) for side in size)
        self.mean = [float(value) for value in config.mean]
        self.std = [float(value) for value in config.std]
        self._config = config
        self._steps = steps

    @property
    def description(self) -> dict[str, Any]:
        """What has to be equal for two vectors of one picture to be equal; plain JSON values."""
        return {
            "size": [self.height, self.width],
            "mean": self.mean,
            "std": self.std,
            "interpolation": self._config.interpolation,
            "resize_mode": self._config.resize_mode,
            "fill_color": self._config.fill_color,
        }

    def frame(self, picture: Image.Image) -> Pixels:
        """uint8 [3, height, width] of a picture of any size and colour mode."""
        picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        for step in self._steps:
            picture = step(picture)
        return np.ascontiguousarray(np.asarray(picture, dtype=np.uint8).transpose(2, 0, 1))

    def require(self, pixels: Pixels) -> None:
        """ValueError unless these are framed pictures, uint8 [n, 3, height, width]."""
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (3, self.height, self.width):
            raise ValueError(
                f"prepared pictures are uint8 [n, 3, {self.height}, {self.width}], "
                f"not {pixels.dtype} {list(pixels.shape)}"
            )
