"""What a person might type to find a drawing: many phrasings of any part of a look.

A caption names a subset of the look's attributes; `Caption.named` says which, so that training
and evaluation know exactly which pictures the words fit. Pure functions of a seeded generator.
"""

from __future__ import annotations

import msgspec
import numpy as np

from illustrated.looks import EYED_GROUPS, Look

ATTRIBUTES = ("group", "plan", "body", "accent", "pattern", "habitat")

# (singular, plural) names of each group.
_GROUP_NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "frog": (("frog", "frogs"), ("frog", "frogs"), ("amphibian", "amphibians")),
    "bird": (("bird", "birds"), ("bird", "birds")),
    "butterfly": (("butterfly", "butterflies"), ("butterfly", "butterflies")),
    "beetle": (("beetle", "beetles"), ("beetle", "beetles"), ("bug", "bugs")),
    "fish": (("fish", "fish"), ("fish", "fishes")),
    "mammal": (("mammal", "mammals"), ("mammal", "mammals"), ("furry animal", "furry animals")),
    "flower": (("flower", "flowers"), ("flower", "flowers"), ("blossom", "blossoms")),
    "fungus": (("mushroom", "mushrooms"), ("fungus", "fungi"), ("toadstool", "toadstools")),
}
# Body plans that have a word of their own; the others go by the group's name.
_PLAN_NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "tree frog": (("tree frog", "tree frogs"), ("treefrog", "treefrogs")),
    "toad": (("toad", "toads"),),
    "songbird": (("songbird", "songbirds"),),
    "owl": (("owl", "owls"),),
    "duck": (("duck", "ducks"),),
    "parrot": (("parrot", "parrots"),),
    "moth": (("moth", "moths"),),
    "longhorn beetle": (("longhorn beetle", "longhorn beetles"),),
    "fox": (("fox", "foxes"),),
    "deer": (("deer", "deer"),),
    "bear": (("bear", "bears"),),
    "seal": (("seal", "seals"),),
    "daisy": (("daisy", "daisies"),),
}
_COLOUR_NAMES: dict[str, tuple[str, ...]] = {
    "red": ("red", "red", "red", "scarlet", "crimson"),
    "orange": ("orange",),
    "yellow": ("yellow", "yellow", "yellow", "golden"),
    "green": ("green",),
    "blue": ("blue",),
    "purple": ("purple", "purple", "violet"),
    "pink": ("pink",),
    "brown": ("brown",),
    "black": ("black",),
    "white": ("white",),
    "grey": ("grey", "gray"),
}
_PATTERN_NAMES: dict[str, tuple[str, ...]] = {
    "plain": ("plain", "unmarked"),
    "striped": ("striped", "stripy"),
    "spotted": ("spotted", "speckled"),
    "banded": ("banded", "barred"),
}
_PLACES: dict[str, tuple[str, ...]] = {
    "river": (
        "by a river",
        "near rivers",
        "near a river",
        "along the river",
        "by the river",
        "at a stream",
        "near streams",
        "by a stream",
        "on a river bank",
        "in a river",
        "river",
        "beside rivers",
    ),
    "lake": (
        "by a lake",
        "near lakes",
        "on a lake",
        "at the lake",
        "by a pond",
        "in a pond",
        "near ponds",
        "beside a lake",
        "lake",
    ),
    "forest": (
        "in the forest",
        "in a forest",
        "in forests",
        "in the woods",
        "among trees",
        "in woodland",
        "in the jungle",
        "in the rainforest",
        "forest",
    ),
    "desert": (
        "in the desert",
        "in a desert",
        "in deserts",
        "on sand dunes",
        "among cacti",
        "desert",
    ),
    "snow": ("in the snow", "in snow", "on snow", "in winter", "in the arctic", "snow"),
    "reef": (
        "on a reef",
        "on a coral reef",
        "near corals",
        "under water",
        "underwater",
        "in the sea",
        "on coral reefs",
        "reef",
    ),
    "night": ("at night", "by night", "in the dark", "under the moon", "under the stars", "night"),
    "meadow": (
        "in a meadow",
        "in meadows",
        "in the grass",
        "in a field",
        "in grassland",
        "on a pasture",
        "meadow",
    ),
}
_OPENINGS = (
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "photo of",
    "picture of",
    "show me",
    "find",
    "drawing of",
    "a photo of",
    "images of",
    "where are",
    "any",
    "i am looking for",
)


class Caption(msgspec.Struct, frozen=True, kw_only=True):
    """A phrase and the attributes (names out of ATTRIBUTES) that it tells of a look."""

    text: str
    named: tuple[str, ...]


def fits(look: Look, wanted: Look, named: tuple[str, ...]) -> bool:
    """Whether `look` has every named attribute of `wanted`."""
    return all(getattr(look, name) == getattr(wanted, name) for name in named)


def names_of_its_own(plan: str) -> bool:
    """Whether a body plan has a word that the whole group does not share."""
    return plan in _PLAN_NAMES


def phrase(random: np.random.Generator, look: Look, named: tuple[str, ...]) -> str:
    """One way to say the named attributes of `look`; every word follows from them."""
    plural = bool(random.random() < 0.5)
    noun = _noun(random, look, named, plural)
    colour = _word(random, _COLOUR_NAMES[look.body]) if "body" in named else ""
    pattern = _word(random, _PATTERN_NAMES[look.pattern]) if "pattern" in named else ""
    before, after = _accent(random, look) if "accent" in named else ("", "")
    adjectives = [word for word in (before, colour, pattern) if word]
    if len(adjectives) > 1 and random.random() < 0.3:
        adjectives.reverse()
    place = _word(random, _PLACES[look.habitat]) if "habitat" in named else ""
    if not noun and not adjectives and not after:
        return _opened(random, place)
    noun = noun or ("animals" if plural else "animal" if random.random() < 0.5 else "one")
    core = " ".join([*adjectives, noun])
    if not plural and random.random() < 0.6:
        core = ("an " if core[0] in "aeiou" else "a ") + core
    parts = [core, after, place]
    if after and place and random.random() < 0.25:
        parts = [core, place, after]
    return _opened(random, " ".join(part for part in parts if part))


def random_caption(random: np.random.Generator, look: Look) -> Caption:
    """A caption that names a random part of the look, the harder parts more often."""
    named = _KINDS[int(random.choice(len(_KINDS), p=_KIND_SHARES))]
    if "plan" in named and not names_of_its_own(look.plan):
        named = tuple(name for name in named if name != "plan")
    return Caption(text=phrase(random, look, named), named=named)


def _noun(random: np.random.Generator, look: Look, named: tuple[str, ...], plural: bool) -> str:
    if "plan" in named and look.plan in _PLAN_NAMES:
        choices = _PLAN_NAMES[look.plan]
    elif "group" in named:
        choices = _GROUP_NAMES[look.group]
    else:
        return ""
    return choices[int(random.integers(len(choices)))][int(plural)]


def _accent(random: np.random.Generator, look: Look) -> tuple[str, str]:
    """Words for the accent: (before the noun, after it); one of the two is empty."""
    colour = _word(random, _COLOUR_NAMES[look.accent])
    if look.group in EYED_GROUPS:
        if random.random() < 0.55:
            return (f"{colour}-eyed" if random.random() < 0.7 else f"{colour} eyed"), ""
        return "", f"with {colour} eyes"
    parts = {
        "butterfly": ("wing spots", "spots on the wings", "eyespots"),
        "beetle": ("markings", "marks", "marks on its back"),
        "flower": ("centre", "center", "middle", "heart"),
        "fungus": ("stem", "stalk", "marks"),
    }[look.group]
    part = _word(random, parts)
    article = "a " if part in {"centre", "center", "middle", "heart", "stem", "stalk"} else ""
    return "", f"with {article}{colour} {part}"


def _opened(random: np.random.Generator, text: str) -> str:
    opening = _word(random, _OPENINGS)
    return f"{opening} {text}".strip()


def _word(random: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(random.integers(len(words)))]


_KIND_WEIGHTS: dict[tuple[str, ...], float] = {
    ("group",): 2,
    ("habitat",): 2,
    ("group", "plan"): 3,
    ("group", "body"): 5,
    ("group", "accent"): 9,
    ("group", "habitat"): 5,
    ("group", "pattern"): 5,
    ("group", "body", "habitat"): 9,
    ("group", "accent", "habitat"): 14,
    ("group", "body", "accent"): 12,
    ("group", "body", "pattern"): 6,
    ("group", "body", "pattern", "habitat"): 7,
    ("group", "plan", "body"): 4,
    ("group", "plan", "accent", "habitat"): 5,
    ("group", "plan", "body", "habitat"): 4,
    ("group", "body", "accent", "habitat"): 16,
    ("group", "body", "accent", "pattern", "habitat"): 6,
    ("body", "habitat"): 2,
    ("group", "plan", "body", "accent", "pattern", "habitat"): 2,
}
_KINDS = tuple(_KIND_WEIGHTS)
_KIND_SHARES = np.array(list(_KIND_WEIGHTS.values())) / sum(_KIND_WEIGHTS.values())
