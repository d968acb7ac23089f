"""The real browser of the page's tests and measurements: where it is and how it starts."""

from __future__ import annotations

import os
import shutil

# Headless machines have no graphics card: WebGL is drawn by the processor.
BROWSER_ARGUMENTS = [
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--no-sandbox",
]


def chromium() -> str:
    """Where the machine's Chromium is; scripts/browser installs one. Raises where there is none."""
    found = os.environ.get("ATLAS_CHROMIUM") or shutil.which("chromium")
    if not found:
        raise FileNotFoundError("no Chromium: run scripts/browser, or set ATLAS_CHROMIUM")
    return found
