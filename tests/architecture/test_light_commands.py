"""What does not embed or search must not wait for the libraries that do."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    ["atlas.settings", "atlas.commands.mapping", "indexer.plan", "indexer.embedding.decoders"],
)
def test_torch_is_not_loaded(module: str) -> None:
    """Torch takes seconds to load: `--help`, a map and every decoding process would wait for it."""
    asked = f"import sys, {module}; print(sorted({{'torch', 'open_clip'}} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"
