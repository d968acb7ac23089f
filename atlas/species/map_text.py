"""Words on a picture: broken into lines that fit, and measured before they are drawn.

For use by one thread at a time; `map_drawing` has the lock.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

Style: TypeAlias = Literal["normal", "italic"]
_POINTS_A_PIXEL = 72.0 / 100.0
_LINE_HEIGHT = 1.32


class Lines(NamedTuple):
    """Lines of text and the width of the longest, in pixels."""

    lines: tuple[str, ...]
    width: float


class TextBlock(NamedTuple):
    """Lines with their left edge, size and colour; lengths in pixels."""

    text: Lines
    left: float
    size_px: float
    colour: str
    style: Style

    @property
    def height(self) -> float:
        """From the top of the first line to the bottom of the last."""
        return len(self.text.lines) * _LINE_HEIGHT * self.size_px

    def draw(self, figure: Figure, width: int, height: int, top: float) -> None:
        """Draw the block on a figure of this size."""
        for number, line in enumerate(self.text.lines):
            base = top + (number * _LINE_HEIGHT + 1.0) * self.size_px
            figure.text(
                self.left / width,
                1.0 - base / height,
                line,
                fontsize=self.size_px * _POINTS_A_PIXEL,
                color=self.colour,
                style=self.style,
                verticalalignment="baseline",
                parse_math=False,
            )


def wrapped(text: str, size_px: float, width_px: float, style: Style) -> Lines:
    """The text in lines no wider than `width_px`; a word that is wider is broken."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if _width(longer, size_px, style) <= width_px:
            line = longer
            continue
        if line:
            lines.append(line)
        *whole, line = _broken(word, size_px, width_px, style)
        lines.extend(whole)
    if line or not lines:
        lines.append(line)
    return Lines(tuple(lines), max(_width(each, size_px, style) for each in lines))


def _broken(word: str, size_px: float, width_px: float, style: Style) -> list[str]:
    """A word in pieces that fit; at least one letter each."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and _width(pieces[-1] + letter, size_px, style) > width_px:
            pieces.append("")
        pieces[-1] += letter
    return pieces


@lru_cache(maxsize=4096)
def _width(text: str, size_px: float, style: Style) -> float:
    font = FontProperties(size=size_px * _POINTS_A_PIXEL, style=style)
    measure = _renderer().get_text_width_height_descent
    width, _, _ = measure(text, font, ismath=False)  # type: ignore[no-untyped-call]
    return float(width)


@lru_cache(maxsize=1)
def _renderer() -> RendererAgg:
    canvas = FigureCanvasAgg(Figure(figsize=(1, 1), dpi=100))
    renderer: RendererAgg = canvas.get_renderer()  # type: ignore[no-untyped-call]
    return renderer
