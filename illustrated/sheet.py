"""A contact sheet of all groups and habitats, to judge the drawings by eye."""

from __future__ import annotations

import numpy as np
from PIL import Image

from illustrated.drawing import draw
from illustrated.looks import GROUPS, HABITATS, PLANS, random_look


def contact_sheet(seed: int = 7, side_px: int = 160) -> Image.Image:
    """Every group (rows, two each where plans allow) in every habitat (columns)."""
    rows = [(group, plan) for group in GROUPS for plan in PLANS[group]]
    sheet = Image.new("RGB", (side_px * len(HABITATS), side_px * len(rows)))
    random = np.random.default_rng(seed)
    for row, (group, plan) in enumerate(rows):
        for column, habitat in enumerate(HABITATS):
            look = random_look(random, group=group, plan=plan, habitat=habitat)
            drawing = draw(look, seed * 1_000 + row * 10 + column, side_px)
            sheet.paste(drawing, (column * side_px, row * side_px))
    return sheet
