"""Frames that fail, in a module that decoding processes load without torch."""

from __future__ import annotations

import os
from typing import NamedTuple

from PIL import Image

from atlas.search.frame import Pixels


class FaultyFrame(NamedTuple):
    """Fails in a way that is no picture's fault."""

    height: int = 4
    width: int = 4

    def frame(self, picture: Image.Image, into: Pixels | None = None) -> Pixels:
        """Raise."""
        raise RuntimeError(f"out of something, at {picture.size}, {into is None}")


class KillingFrame(NamedTuple):
    """Ends its process as the kernel does when memory is short."""

    height: int = 4
    width: int = 4

    def frame(self, picture: Image.Image, into: Pixels | None = None) -> Pixels:
        """Never come back."""
        os._exit(picture.width if into is None else 9)
