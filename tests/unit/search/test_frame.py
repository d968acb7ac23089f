"""Framing with Pillow alone, against OpenCLIP's own preprocessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from atlas.search.frame import Frame, Pixels
from atlas.search.framing import Framing

# isort: split
from open_clip.transform import PreprocessCfg, image_transform_v2

SHAPES = [(500, 375), (375, 500), (224, 224), (225, 224), (5, 9), (1024, 683), (333, 100), (20, 60)]
SETTINGS: list[dict[str, Any]] = [
    {"size": size, "resize_mode": mode, "interpolation": interpolation, "fill_color": 9}
    for size in (224, (224, 224), (48, 96), (96, 47))
    for mode in ("shortest", "longest", "squash")
    for interpolation in ("bicubic", "bilinear")
]


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A picture in which no two neighbours are alike."""
    levels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3))
    return Image.fromarray(levels.astype(np.uint8)).convert(mode)


def of_open_clip(settings: dict[str, Any], picture: Image.Image) -> Pixels:
    """What OpenCLIP's steps make of a picture, before it becomes a tensor."""
    *steps, _to_tensor, _scaling = image_transform_v2(
        PreprocessCfg(**settings), is_train=False
    ).transforms
    for step in steps:
        picture = step(picture)
    return np.asarray(picture, dtype=np.uint8).transpose(2, 0, 1)


@pytest.mark.parametrize(
    "settings", SETTINGS, ids=lambda settings: "-".join(map(str, settings.values()))
)
def test_pictures_are_framed_as_open_clip_frames_them(settings: dict[str, Any]) -> None:
    """Would break: vectors made here cannot be compared with those of the model's makers."""
    frame = Framing("test", settings).frame
    for width, height in SHAPES:
        picture = noise(width, height)
        assert np.array_equal(frame.frame(picture), of_open_clip(settings, picture)), (
            width,
            height,
        )


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1"])
def test_every_colour_mode_is_framed(mode: str) -> None:
    """Would break: a grey photo stops a batch."""
    picture = noise(60, 40, mode)
    settings = {"size": 32}
    expected = of_open_clip(settings, picture.convert("RGB"))
    assert np.array_equal(Framing("test", settings).frame.frame(picture), expected)


@pytest.mark.parametrize("shape", [(4000, 20), (20, 4000), (3001, 33)])
def test_a_long_strip_is_cropped_while_it_is_resized(shape: tuple[int, int]) -> None:
    """Would break: a strip of 30,000 x 10 pixels takes half a gigabyte, or shows another part."""
    settings = {"size": 32}
    picture = noise(*shape)
    framed = Framing("test", settings).frame.frame(picture).astype(int)
    expected = of_open_clip(settings, picture).astype(int)
    # Pillow may resize rows before columns for one and columns before rows for the other, and cuts
    # off at 0 and 255 in between; shifted by a pixel, noise would be off by some 60 levels.
    assert np.abs(framed - expected).mean() < 1
    assert Frame(height=224, width=224).frame(Image.new("RGB", (60_000, 3))).shape == (3, 224, 224)


def test_a_strip_fits_a_frame_that_shows_it_whole() -> None:
    """Would break: a side rounded to nothing stops a build as a fault of ours."""
    frame = Frame(height=32, width=32, resize_mode="longest", fill=7)
    pixels = frame.frame(Image.new("RGB", (9000, 3), (200, 100, 50)))
    assert (pixels[:, 0] == 7).all()
    assert pixels[:, 15:17].max() == 200


def test_pixels_go_where_they_are_wanted() -> None:
    """Would break: a picture in shared memory is somebody else's."""
    into = np.full((2, 3, 32, 32), 99, dtype=np.uint8)
    frame = Frame(height=32, width=32)
    frame.frame(noise(50, 40), into[1])
    assert np.array_equal(into[1], frame.frame(noise(50, 40)))
    assert (into[0] == 99).all()
