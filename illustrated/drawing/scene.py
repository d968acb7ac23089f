"""One whole drawing: habitat, figure, light and grain, from a look and a seed.

The same look, seed and size give the same pixels. Safe from any thread: no shared state.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from illustrated.drawing.birds import draw_bird
from illustrated.drawing.canvas import Canvas
from illustrated.drawing.fishes import draw_fish
from illustrated.drawing.frogs import draw_frog
from illustrated.drawing.habitats import paint_habitat, sky
from illustrated.drawing.insects import draw_beetle, draw_butterfly
from illustrated.drawing.mammals import draw_mammal
from illustrated.drawing.plants import draw_flower, draw_fungus
from illustrated.drawing.tones import Tones, mix_tones
from illustrated.looks import Look

Figure = Callable[[Canvas, np.random.Generator, Look, Tones], None]

_FIGURES: dict[str, Figure] = {
    "frog": draw_frog,
    "bird": draw_bird,
    "butterfly": draw_butterfly,
    "beetle": draw_beetle,
    "fish": draw_fish,
    "mammal": draw_mammal,
    "flower": draw_flower,
    "fungus": draw_fungus,
}
# How far a figure may be turned, in degrees: what stands on the ground stays upright.
_TILT = {"beetle": 60.0, "butterfly": 25.0, "fish": 16.0}


def draw(look: Look, seed: int, side_px: int = 320) -> Image.Image:
    """A square RGB drawing of `look`, side_px wide; every seed is another individual."""
    random = np.random.default_rng([seed, 20_240])
    picture = sky(random, look.habitat, side_px)
    canvas = Canvas(picture)
    paint_habitat(canvas, random, look.habitat)
    tones = mix_tones(random, look)
    tilt = _TILT.get(look.group, 5.0)
    with canvas.figure(
        0.5 + random.uniform(-0.07, 0.07),
        0.54 + random.uniform(-0.05, 0.05),
        random.uniform(0.335, 0.42),
        random.uniform(-tilt, tilt),
        bool(random.random() < 0.5),
    ):
        _FIGURES[look.group](canvas, random, look, tones)
    canvas.finish()
    return _light(random, picture, look.habitat)


def _light(random: np.random.Generator, picture: Image.Image, habitat: str) -> Image.Image:
    """A soft light from one side, a darker rim, and a little grain."""
    side = picture.width
    axis = np.linspace(-1.0, 1.0, side, dtype=np.float32)
    angle = random.uniform(0, 2 * np.pi)
    strength = random.uniform(0.03, 0.12)
    light = 1.0 + strength * (np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None])
    light -= 0.05 * (axis[None, :] ** 2 + axis[:, None] ** 2)
    light *= random.uniform(0.92, 1.06) * (0.92 if habitat == "night" else 1.0)
    # Coarse grain survives the model's reduction to 96 pixels; fine grain would be averaged away.
    grain = Image.fromarray(random.normal(0.0, 0.014, size=(24, 24)).astype(np.float32))
    light += np.asarray(grain.resize((side, side), Image.Resampling.BICUBIC))
    lit = np.asarray(picture, dtype=np.float32) * light[:, :, None]
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
