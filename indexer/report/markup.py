"""Pieces of a report's page: its style, its tables and figures, its numbers in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from indexer.report.drawings import svg_of

Row = Sequence[str | int]
# Letters from which on a text gets a wide column.
_LONG = 40
STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --text: #1d2733; --faint: #4c5763;
  --line: #c9d0d7; --panel: #f4f6f8; --land: #e4e1d6; --sea: #f7fafc; --shore: #8b98a5; }
@media (prefers-color-scheme: dark) { :root { --ground: #12171c; --text: #e8edf2; --faint: #a9b5c1;
  --line: #3a4550; --panel: #1b2229; --land: #39424b; --sea: #171d23; --shore: #6b7885; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--ground);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; }
p { max-width: 46rem; margin: 0.4rem 0; }
.faint, figcaption { color: var(--faint); font-size: 0.875rem; }
.notice { border-left: 0.3rem solid #e69f00; padding-left: 0.7rem; }
.facts { display: grid; grid-template-columns: repeat(4, 1fr); gap: 0.6rem; margin: 1rem 0;
  padding: 0; }
@media (max-width: 46rem) { .facts { grid-template-columns: repeat(2, 1fr); } }
.facts div { background: var(--panel); border-radius: 0.4rem; padding: 0.6rem 0.8rem; }
.facts dt { color: var(--faint); font-size: 0.875rem; }
.facts dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr));
  gap: 1.5rem; }
figure { margin: 0.5rem 0; }
figure svg { display: block; width: 100%; max-width: 36rem; height: auto; }
figure.map svg { max-width: none; border-radius: 0.4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9375rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.3rem 0.7rem 0.3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; white-space: nowrap; }
.n { text-align: right; white-space: nowrap; }
.long { min-width: 15rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; list-style: none; padding: 0;
  margin: 0.5rem 0; font-size: 0.875rem; }
.legend i { display: inline-block; width: 1rem; height: 0.8rem; margin-right: 0.4rem;
  vertical-align: -0.05rem; border-radius: 0.15rem; }
"""


def figure(drawn: Figure, name: str, title: str) -> str:
    """A drawing in its place; see `svg_of`."""
    return f"<figure>{svg_of(drawn, name, title)}</figure>"


def table(
    header: Sequence[str],
    rows: Iterable[Row],
    numbers: Sequence[int] = (),
) -> str:
    """A table; whole numbers are set to the right, and so are the columns in `numbers`."""

    def cell(at: int, value: str | int) -> str:
        number = isinstance(value, int) or at in numbers
        text = f"{value:,}" if isinstance(value, int) else escape(value)
        kind = ' class="n"' if number else ' class="long"' if len(text) > _LONG else ""
        return f"<td{kind}>{text}</td>"

    listed = [tuple(row) for row in rows]
    right = {at for row in listed for at, value in enumerate(row) if isinstance(value, int)} | set(
        numbers
    )
    head = "".join(
        f'<th class="n">{escape(name)}</th>' if at in right else f"<th>{escape(name)}</th>"
        for at, name in enumerate(header)
    )
    body = "".join(
        "<tr>" + "".join(cell(at, value) for at, value in enumerate(row)) + "</tr>"
        for row in listed
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def span(first: int, last: int) -> str:
    """Whole numbers from `first` to `last`, in words."""
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def size(count: int) -> str:
    """Bytes, in words."""
    left = float(count)
    for unit in ("bytes", "kB", "MB"):
        if left < 1_000:
            return f"{left:,.0f} {unit}"
        left /= 1_000
    return f"{left:,.1f} GB"
