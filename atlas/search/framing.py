"""What a model's own preprocessing asks for: the frame of its pictures, and their scaling.

Read from OpenCLIP's configuration, so a vector made here is the vector that OpenCLIP would make.
Knows no weights. Thread rule: without state after construction.
"""

from __future__ import annotations

from typing import Any

import atlas.search.torchvision_cpu  # noqa: F401 - must be imported before open_clip
from atlas.errors import EncoderError
from atlas.search.frame import Frame, Pixels

# isort: split
from open_clip.transform import PreprocessCfg, image_transform_v2
from torchvision.transforms import Normalize


class Framing:
    """The preprocessing of one model up to 8-bit pixels.

    `mean` and `std`, one number for each of red, green, blue on the scale 0 to 1, are left to the
    device: a quarter of the bytes to hand over, and the same numbers.
    """

    def __init__(self, encoder: str, preprocessing: dict[str, Any]) -> None:
        config = PreprocessCfg(**preprocessing)
        # OpenCLIP checks the configuration; its steps themselves are `Frame`'s.
        *_steps, _to_tensor, scaling = image_transform_v2(config, is_train=False).transforms
        if not isinstance(scaling, Normalize):
            raise EncoderError(encoder, "OpenCLIP ends its preprocessing in a way unknown here")
        size = config.size if isinstance(config.size, tuple | list) else [config.size] * 2
        self.mean = [float(value) for value in config.mean]
        self.std = [float(value) for value in config.std]
        self.frame = Frame(
            height=int(size[0]),
            width=int(size[1]),
            resize_mode=config.resize_mode or "shortest",
            bicubic=config.interpolation != "bilinear",
            fill=int(config.fill_color),
        )
        self._config = config

    @property
    def description(self) -> dict[str, Any]:
        """What has to be equal for two vectors of one picture to be equal; plain JSON values."""
        return {
            "size": [self.frame.height, self.frame.width],
            "mean": self.mean,
            "std": self.std,
            "interpolation": self._config.interpolation,
            "resize_mode": self._config.resize_mode,
            "fill_color": self._config.fill_color,
        }

    def require(self, pixels: Pixels) -> None:
        """ValueError unless these are framed pictures, uint8 [n, 3, height, width]."""
        height, width = self.frame.height, self.frame.width
        if pixels.dtype != "uint8" or pixels.shape[1:] != (3, height, width):
            raise ValueError(
                f"prepared pictures are uint8 [n, 3, {height}, {width}], "
                f"not {pixels.dtype} {list(pixels.shape)}"
            )
