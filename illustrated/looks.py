"""What a drawn organism looks like: the vocabulary, the struct, and the held-out split.

The split decides which attribute combinations no training picture and no training caption may
show. Pure functions of their arguments; safe from any thread.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec
import numpy as np

GROUPS = ("frog", "bird", "butterfly", "beetle", "fish", "mammal", "flower", "fungus")
COLOURS = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "white",
    "grey",
)
PATTERNS = ("plain", "striped", "spotted", "banded")
HABITATS = ("river", "lake", "forest", "desert", "snow", "reef", "night", "meadow")
PLANS: dict[str, tuple[str, ...]] = {
    "frog": ("tree frog", "toad"),
    "bird": ("songbird", "owl", "duck", "parrot"),
    "butterfly": ("butterfly", "moth"),
    "beetle": ("beetle", "longhorn beetle"),
    "fish": ("deep fish", "slender fish"),
    "mammal": ("fox", "deer", "bear", "seal"),
    "flower": ("daisy", "round flower"),
    "fungus": ("mushroom", "tall mushroom"),
}
ACCENT_PARTS: dict[str, str] = {
    "frog": "eye",
    "bird": "eye",
    "butterfly": "wing spot",
    "beetle": "marking",
    "fish": "eye",
    "mammal": "eye",
    "flower": "centre",
    "fungus": "cap mark",
}
EYED_GROUPS = tuple(group for group, part in ACCENT_PARTS.items() if part == "eye")
HEADLINE = ("frog", "red", "river")
HELD_OUT_SHARE = 0.05


class Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One organism's appearance and the place it is drawn in.

    `body` and `accent` are words of COLOURS; the accent is drawn at ACCENT_PARTS[group], and is
    never the body's own colour except for eyes, which stay visible in a rim.
    """

    group: str
    plan: str
    body: str
    accent: str
    pattern: str
    habitat: str

    def __post_init__(self) -> None:
        """Refuse a word outside the vocabulary, or an accent that could not be seen."""
        allowed = {
            "group": GROUPS,
            "plan": PLANS.get(self.group, ()),
            "body": COLOURS,
            "accent": COLOURS,
            "pattern": PATTERNS,
            "habitat": HABITATS,
        }
        for field, words in allowed.items():
            if getattr(self, field) not in words:
                raise ValueError(f"{field}: {getattr(self, field)!r} is not one of {words}")
        if self.accent == self.body and self.group not in EYED_GROUPS:
            raise ValueError(f"accent: {self.accent!r} on itself cannot be seen")


def _bucket(*words: str) -> float:
    """A fixed pseudo-random number in [0, 1) for a combination of words."""
    return zlib.crc32("/".join(words).encode()) / 2**32


def held_out_triples(look: Look) -> tuple[str, ...]:
    """Names of the attribute triples of this look that training must never see together."""
    triples = {
        "body_accent": (look.group, look.body, look.accent),
        "body_habitat": (look.group, look.body, look.habitat),
        "accent_habitat": (look.group, look.accent, look.habitat),
    }
    return tuple(
        name
        for name, words in triples.items()
        if _bucket(name, *words) < HELD_OUT_SHARE
        or (name == "accent_habitat" and words == HEADLINE)
    )


def is_held_out(look: Look) -> bool:
    """Whether training must not see this look (about one look in seven)."""
    return bool(held_out_triples(look))


def random_look(random: np.random.Generator, **fixed: str) -> Look:
    """A uniformly random look with the given attributes fixed; may be a held-out one."""
    group = fixed.get("group") or _pick(random, GROUPS)
    hidden = fixed.get("accent") if group not in EYED_GROUPS else None
    body = fixed.get("body") or _pick(random, tuple(c for c in COLOURS if c != hidden))
    visible = tuple(c for c in COLOURS if c != body or group in EYED_GROUPS)
    return Look(
        group=group,
        plan=fixed.get("plan") or _pick(random, PLANS[group]),
        body=body,
        accent=fixed.get("accent") or _pick(random, visible),
        pattern=fixed.get("pattern") or _pick(random, PATTERNS),
        habitat=fixed.get("habitat") or _pick(random, HABITATS),
    )


def _pick(random: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(random.integers(len(words)))]
