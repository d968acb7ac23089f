"""Seeded vector drawings of organisms in habitats. It knows looks, not species or records."""

from illustrated.drawing.scene import draw

__all__ = ["draw"]
