"""What must hold of the tree as a whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from indexer import plan_sections
from indexer.layers import section as layer_section

ROOT = Path(__file__).resolve().parents[2]


def test_imports_point_one_way() -> None:
    """A layer that reaches upwards would tie the server to the builder, or the domain to HTTP."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_plan_setting_is_documented() -> None:
    """A setting that docs/plan.md does not name cannot be found by who needs it."""
    text = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    missing = [
        f"{name}.{field}"
        for name, section in {**vars(plan_sections), **vars(layer_section)}.items()
        if name.endswith("Section") and hasattr(section, "__struct_fields__")
        for field in section.__struct_fields__
        if f"`{field}`" not in text
    ]
    assert not missing


def test_requirements_are_pinned_by_hash_and_name_no_place() -> None:
    """An unpinned line, or an address, would make the environment depend on where it is made."""
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
        assert lines
        assert all("==" in line for line in lines), path.name
        assert text.count("--hash=sha256:") >= len(lines), path.name
        assert "://" not in text, path.name


def test_the_lock_of_the_page_names_no_place() -> None:
    """An address of a registry in the lock would tie the build to one place."""
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text(encoding="utf-8"))
    packages = [entry for name, entry in lock["packages"].items() if name]
    assert packages
    assert all("resolved" not in entry and entry["integrity"] for entry in packages)


def test_the_page_speaks_every_language_whole() -> None:
    """A word that one language lacks would show as nothing; a lost `{n}` would lose a number."""
    words = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in (ROOT / "web" / "words").glob("??.json")
    }
    assert set(words) == {"en", "es"}
    assert list(words["es"]) == list(words["en"])
    for key, text in words["en"].items():
        assert words["es"][key]
        assert set(re.findall(r"\{\w+\}", words["es"][key])) == set(re.findall(r"\{\w+\}", text)), (
            key
        )


def test_torch_is_one_version() -> None:
    """The CPU build is pinned by hand and must follow the registry's."""
    pins = [
        re.search(r"^torch==([0-9.]+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE)
        for name in ("torch.txt", "torch-cpu.txt")
    ]
    assert all(pins)
    assert len({pin[1].rstrip(".") for pin in pins if pin}) == 1


def test_scripts_can_be_run_and_the_image_is_not_root() -> None:
    """A lost run bit breaks the two commands; an image that runs as root is refused by many."""
    for name in ("browser", "demo", "environment", "page", "requirements", "test"):
        assert os.access(ROOT / "scripts" / name, os.X_OK)
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "USER atlas" in dockerfile
    assert "HEALTHCHECK" in dockerfile
