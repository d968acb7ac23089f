"""Lets torchvision's pure Python transforms import beside a CPU-only torch.

The registry's Linux wheel of torchvision is linked against CUDA. Beside a CPU build of torch its
compiled operators do not load, and the import then fails while describing operators that were
never registered. OpenCLIP needs only the transforms, so the schemas are declared here first.
Import this module before open_clip; it does nothing where torchvision's own operators load.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def compiled_operators_load() -> bool:
    """Whether torchvision's compiled operators are there and load beside this torch."""
    spec = importlib.util.find_spec("torchvision")
    folders = spec.submodule_search_locations if spec is not None else None
    libraries = [path for folder in folders or [] for path in Path(folder).glob("_C*.so")]
    try:
        for library in libraries:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return bool(libraries)


def declare_missing_operators() -> torch.library.Library | None:
    """Declare the operators that torchvision describes at import, where its own do not load.

    Returns the library that owns the schemas (they vanish with it), or None where nothing is
    missing.
    """
    if compiled_operators_load():
        return None
    library = torch.library.Library(  # type: ignore[no-untyped-call]
        "torchvision", "FRAGMENT"
    )
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    return library


LIBRARY = declare_missing_operators()
