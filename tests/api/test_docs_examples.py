"""Runs every example of docs/api.md: a guide that lies is worse than none.

An `http` block is a request; the block after it holds the status and the answer: `json` a part of
the JSON answer, `text` the media type. In it `"…"` matches anything and `"$name"` keeps a value,
which later requests use as `{name}`. The section "Several spaces" is asked of an atlas with two,
"By place" of one with a place layer.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
from litestar import Litestar
from litestar.testing import TestClient

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
ANYTHING = "…"
_EXAMPLE = re.compile(
    r"```http\n(?P<request>.*?)```\s+```(?P<kind>json|text) (?P<status>\d{3})\n(?P<answer>.*?)```",
    re.DOTALL,
)


class Example(NamedTuple):
    """One example of the guide and the line it stands on."""

    line: int
    section: str
    request: str
    kind: str
    status: int
    answer: str


def examples() -> list[Example]:
    """All examples, in the order of the page: later ones use what earlier ones kept."""
    text = GUIDE.read_text(encoding="utf-8")
    found = [
        Example(
            line=text.count("\n", 0, match.start()) + 1,
            section=re.findall(r"^## (.*)$", text[: match.start()], re.MULTILINE)[-1],
            request=match["request"],
            kind=match["kind"],
            status=int(match["status"]),
            answer=match["answer"],
        )
        for match in _EXAMPLE.finditer(text)
    ]
    assert len(found) == text.count("```http"), "an http block lacks its answer"
    return found


def send(client: TestClient[Litestar], request: str, photo: bytes) -> httpx.Response:
    """Send a request as it is written: a line, headers, an empty line, a body or a form."""
    head, _, body = request.strip().partition("\n\n")
    first, *lines = head.splitlines()
    method, path = first.split()
    headers = dict(line.split(": ", 1) for line in lines)
    if headers.get("Content-Type") == "multipart/form-data":
        parts = dict(line.split(": ", 1) for line in body.splitlines())
        name = parts.pop("file").removeprefix("@")
        return client.post(path, files={"file": (name, photo)}, data=parts)
    return client.request(method, path, headers=headers, content=body.encode())


def compare(expected: Any, found: Any, where: str, kept: dict[str, str]) -> None:
    """Every value shown must be there; more fields and longer lists are all right."""
    if expected == ANYTHING:
        return
    if isinstance(expected, str) and expected.startswith("$"):
        assert found is not None, where
        kept[expected[1:]] = str(found)
    elif isinstance(expected, dict):
        assert isinstance(found, dict), where
        for key, value in expected.items():
            assert key in found, f"{where}.{key} is not in the answer"
            compare(value, found[key], f"{where}.{key}", kept)
    elif isinstance(expected, list):
        assert isinstance(found, list), where
        assert len(found) >= len(expected), f"{where} has {len(found)} entries"
        for number, value in enumerate(expected):
            compare(value, found[number], f"{where}[{number}]", kept)
    else:
        assert found == expected, f"{where}: {found!r}, the guide says {expected!r}"


def test_examples_of_the_guide(
    client: TestClient[Litestar],
    twin_client: TestClient[Litestar],
    placed_client: TestClient[Litestar],
    tiny_photos: Path,
) -> None:
    """Each example answers as printed, in the order of the page."""
    photo = (tiny_photos / "photos" / "0003.png").read_bytes()
    kept: dict[str, str] = {}
    others = {"Several spaces": twin_client, "By place": placed_client}
    for example in examples():
        request = example.request
        for name, value in kept.items():
            request = request.replace(f"{{{name}}}", value)
        answer = send(others.get(example.section, client), request, photo)
        where = f"docs/api.md line {example.line}"
        assert answer.status_code == example.status, f"{where}: {answer.text}"
        if example.kind == "text":
            assert answer.headers["content-type"] == example.answer.strip(), where
        else:
            compare(msgspec.json.decode(example.answer), answer.json(), where, kept)


def test_guide_covers_every_call(client: TestClient[Litestar]) -> None:
    """A call that the guide does not mention is one that nobody finds."""
    text = GUIDE.read_text(encoding="utf-8")
    for path in client.get("/schema/openapi.json").json()["paths"]:
        plain = re.sub(r"\{\w+\}", "", path).rstrip("/").replace("//", "/")
        assert plain.split("/{")[0] in re.sub(r"\{\w+\}", "", text).replace("//", "/"), path
