"""Small real inputs: a tiny OpenCLIP model, a folder of photos with records, and a build plan."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import atlas.search.torchvision_cpu  # noqa: F401 - must be imported before open_clip

# isort: split
import open_clip
from safetensors.torch import save_file

TINY_DIM = 24
TINY_GEOMETRY: dict[str, Any] = {
    "embed_dim": TINY_DIM,
    "vision_cfg": {
        "image_size": 32,
        "layers": 1,
        "width": 32,
        "head_width": 16,
        "patch_size": 16,
    },
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
_PREPROCESSING = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}

# Real lineages; one has an empty family, and Oenanthe is a bird and a plant.
LINEAGES: tuple[tuple[str, ...], ...] = tuple(
    tuple(lineage.split("/"))
    for lineage in (
        "Animalia/Chordata/Amphibia/Anura/Hylidae/Agalychnis/Agalychnis callidryas",
        "Animalia/Chordata/Amphibia/Anura/Hylidae/Hyla/Hyla arborea",
        "Animalia/Chordata/Amphibia/Anura/Ranidae/Rana/Rana temporaria",
        "Animalia/Chordata/Aves/Passeriformes/Muscicapidae/Oenanthe/Oenanthe deserti",
        "Animalia/Chordata/Aves/Anseriformes/Anatidae/Anas/Anas platyrhynchos",
        "Plantae/Tracheophyta/Magnoliopsida/Apiales/Apiaceae/Oenanthe/Oenanthe aquatica",
        "Fungi/Basidiomycota/Agaricomycetes/Agaricales//Amanita/Amanita muscaria",
    )
)
COMMON_NAMES = (
    "Red-eyed tree frog",
    "European tree frog",
    "Common frog",
    "Desert wheatear",
    "Mallard",
    "Fine-leaved water dropwort",
    "Fly agaric",
)
RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
COLUMNS = (
    "occurrenceID",
    "scientificName",
    *RANKS,
    "vernacularName",
    "decimalLatitude",
    "decimalLongitude",
    "coordinateUncertaintyInMeters",
    "eventDate",
    "recordedBy",
    "basisOfRecord",
    "license",
    "rightsHolder",
    "references",
    "file",
    "mediaLicense",
)
# Around these points the photos lie: both sides of the antimeridian, a pole, and three towns.
PLACES = (
    (10.42, -84.0),
    (52.37, 4.9),
    (-17.8, 179.9),
    (-17.8, -179.9),
    (89.5, 10.0),
    (-33.9, 18.4),
)


def make_tiny_model(folder: Path, seed: int = 1, dim: int = TINY_DIM) -> Path:
    """Write a random OpenCLIP model of `dim` dimensions that `local-dir:` loads."""
    geometry = TINY_GEOMETRY | {"embed_dim": dim}
    folder.mkdir(parents=True)
    registry = folder.parent / f"{folder.name}-registry"
    registry.mkdir()
    name = f"tiny-{folder.name}"
    (registry / f"{name}.json").write_text(json.dumps(geometry))
    open_clip.add_model_config(registry)
    torch.manual_seed(seed)
    weights = open_clip.create_model(name).state_dict()
    save_file(
        {key: tensor.contiguous() for key, tensor in weights.items()},
        folder / "open_clip_model.safetensors",
    )
    config = {"model_cfg": geometry, "preprocess_cfg": _PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def make_record(number: int, rng: np.random.Generator) -> dict[str, str]:
    """One good record: taxon, place and licences follow from its number, the rest from `rng`."""
    kind = number % len(LINEAGES)
    latitude, longitude = PLACES[number % len(PLACES)]
    month, day = int(rng.integers(1, 13)), int(rng.integers(1, 29))
    return {
        "occurrenceID": f"urn:test:{number // 2 if number % 10 == 1 else number}",
        "scientificName": LINEAGES[kind][-1],
        **dict(zip(RANKS, LINEAGES[kind], strict=True)),
        "vernacularName": COMMON_NAMES[kind],
        "decimalLatitude": f"{latitude + rng.uniform(-0.3, 0.3):.5f}",
        "decimalLongitude": f"{longitude + rng.uniform(-0.09, 0.09):.5f}",
        "coordinateUncertaintyInMeters": ("", "25", "800", "30000")[number % 4],
        "eventDate": f"{2015 + number % 9}-{month:02d}-{day:02d}",
        "recordedBy": f"Observer {number % 5}",
        "basisOfRecord": "HumanObservation",
        "license": ("CC0-1.0", "CC BY 4.0")[number % 2],
        "rightsHolder": f"Holder {number % 3}",
        "references": f"https://example.org/records/{number}",
        "file": f"photos/{number:04d}.png",
        "mediaLicense": (
            "https://creativecommons.org/licenses/by/4.0/",
            "CC0",
            "CC BY-NC 4.0",
            "all rights reserved",
        )[number % 4],
    }


def bad_records(start: int, rng: np.random.Generator) -> list[dict[str, str]]:
    """Rows with something wrong; `make_photos` says what becomes of each."""
    faults: tuple[dict[str, str], ...] = (
        {"file": "photos/missing.png"},
        {"file": "photos/text.jpg"},
        {"file": "photos/truncated.png"},
        {"file": "../outside.png"},
        {"decimalLatitude": "91"},
        {"decimalLongitude": "east"},
        {"eventDate": "2023-13-45"},
        {"scientificName": "", "vernacularName": "", **dict.fromkeys(RANKS, "")},
    )
    return [make_record(start + i, rng) | fault for i, fault in enumerate(faults)]


def make_photos(folder: Path, records: int = 60, seed: int = 5) -> Path:
    """Write `folder`/photos and `folder`/records.csv; returns the CSV.

    There are `records` good rows, eight faulty ones of which four are refused, and one row twice.
    """
    rng = np.random.default_rng(seed)
    rows = [make_record(number, rng) for number in range(records)]
    rows += bad_records(records, rng)
    rows.append(rows[0])
    (folder / "photos").mkdir(parents=True)
    for row in rows:
        path = folder / row["file"]
        if path.suffix == ".png" and path.parent.name == "photos" and path.stem.isdigit():
            pixels = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC).save(path)
    (folder / "photos" / "text.jpg").write_text("This is not a picture.")
    whole = (folder / "photos" / "0000.png").read_bytes()
    (folder / "photos" / "truncated.png").write_bytes(whole[: len(whole) // 2])
    with (folder / "records.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return folder / "records.csv"


def write_plan(
    path: Path,
    *,
    photos: Path,
    model: Path | Mapping[str, Path],
    bundle: Path,
    **settings: str,
) -> Path:
    """Write a plan for `make_photos`; `settings` are further TOML sections by name.

    `model` is the encoder of the space `tiny`, or the encoders of several spaces by name.
    """
    sections = {
        "index": "exact_below = 100000",
        "parts": "rows = 16",
        "measure": "queries = 20",
        # Frogs at the pole and in the middle of the Pacific are here for the shapes of their cells.
        "quality": "land_taxa = []",
        "rejects": "max_share = 0.2",
        "workers": "count = 1",
    } | settings
    extra = "\n".join(f"[{name}]\n{body}\n" for name, body in sections.items())
    spaces = "\n".join(
        f'[[spaces]]\nname = "{name}"\nencoder = "local-dir:{folder}"\n'
        'device = "cpu"\nbatch_size = 8\n'
        for name, folder in ({"tiny": model} if isinstance(model, Path) else model).items()
    )
    path.write_text(
        f"""
[atlas]
title = "Tiny atlas"
description = "Made for tests."
demonstration = true

[output]
bundle = "{bundle}"

[[sources]]
kind = "folder"
key = "tiny"
title = "Tiny records"
citation = "Nobody (2026). Tiny records."
url = "https://example.org/tiny"
path = "{photos}"
records = "{photos / "records.csv"}"
as_of = 2026-01-01

{spaces}
[media]
host = ["CC0-1.0", "CC-BY-4.0"]
max_side_px = 64

{extra}
""",
        encoding="utf-8",
    )
    return path
