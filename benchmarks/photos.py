"""Made-up photos for benchmarks: as large in bytes and as slow to decode as photos of organisms.

Noise at every scale, stronger the coarser, which is how the spectrum of photos falls. Pure
functions of their seed.
"""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

_QUALITY = 85


def make_photo(seed: int, long_side_px: int) -> bytes:
    """A JPEG whose longer side has this length, lying or standing, 4:3."""
    generator = np.random.default_rng(seed)
    long, short = long_side_px, long_side_px * 3 // 4
    width, height = (long, short) if generator.random() < 0.7 else (short, long)
    levels = np.full((height, width, 3), 110, dtype=np.float32)
    cells, strength = 3, 40.0
    while cells < long_side_px:
        noise = generator.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        for channel in range(3):
            # Colours change less than light does.
            grey = 0.75 * noise[..., 0] + 0.25 * noise[..., channel]
            layer = Image.fromarray(grey).resize((width, height), Image.Resampling.BICUBIC)
            levels[..., channel] += strength * np.asarray(layer)
        cells, strength = cells * 2, strength * 0.72
    # The sensor's own.
    levels += generator.normal(0, 5, (height, width, 1)).astype(np.float32)
    target = BytesIO()
    picture = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    picture.save(target, format="JPEG", quality=_QUALITY)
    return target.getvalue()


def write_photos(
    folder: Path, count: int, *, seed: int, long_side_px: int, distinct: int
) -> tuple[Path, int]:
    """`count` files, copies of `distinct` photos, and a table that names them.

    Returns the table and the mean size of a file in bytes.
    """
    (folder / "photos").mkdir(parents=True)
    table = folder / "records.csv"
    size_bytes = 0
    lines = ["file"]
    for number in range(count):
        name = f"{number:07}.jpg"
        path = folder / "photos" / name
        if number < distinct:
            path.write_bytes(make_photo(seed * 1_000_003 + number, long_side_px))
        else:
            shutil.copyfile(folder / "photos" / f"{number % distinct:07}.jpg", path)
        size_bytes += path.stat().st_size
        lines.append(name)
    table.write_text("\n".join(lines) + "\n")
    return table, size_bytes // count
