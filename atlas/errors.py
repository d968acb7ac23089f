"""The errors of the atlas: a small tree whose members carry their data.

Domain code raises these; `atlas.api.problems` maps each type to one HTTP status. Nothing here
knows of HTTP. Messages are for people: they name the field, the file or the value.
"""

from __future__ import annotations

from pathlib import Path


class AtlasError(Exception):
    """Root of the tree; `str(error)` is safe to show to a user."""


class BundleError(AtlasError):
    """A bundle is missing, damaged, or does not fit this server."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class InvalidQuery(AtlasError):
    """A question cannot be answered as put; names the field at fault."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class NotFound(AtlasError):
    """The atlas has no such thing (`noun` is "taxon", "image", "space", …)."""

    def __init__(self, noun: str, identifier: str) -> None:
        super().__init__(f"no {noun} {identifier!r} in this atlas")
        self.noun = noun
        self.identifier = identifier


class PictureError(AtlasError):
    """A picture cannot be used; `reason` is a stable word that is also a rejects reason.

    Reasons: `file_missing`, `not_an_image`, `image_damaged`, `image_too_large`, `image_empty`.
    """

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason
        self.problem = problem


class EncoderError(AtlasError):
    """An encoder cannot be loaded, or does not fit the space it is asked to serve."""

    def __init__(self, encoder: str, problem: str) -> None:
        super().__init__(f"encoder {encoder}: {problem}")
        self.encoder = encoder
        self.problem = problem


class SpaceUnavailable(AtlasError):
    """A space of the bundle has no encoder on this server, so it cannot read text or photos."""

    def __init__(self, space: str, problem: str) -> None:
        super().__init__(f"space {space}: {problem}")
        self.space = space
        self.problem = problem


class Overloaded(AtlasError):
    """A bounded queue is full; ask again after `retry_after_s` seconds."""

    def __init__(self, what: str, retry_after_s: float) -> None:
        super().__init__(f"{what} is full; try again in {retry_after_s:.0f} s")
        self.what = what
        self.retry_after_s = retry_after_s


class PlanError(AtlasError):
    """A build plan or its input cannot be used; names the file and, where known, the line."""

    def __init__(self, path: Path, problem: str, line: int | None = None) -> None:
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {problem}")
        self.path = path
        self.problem = problem
        self.line = line


class BuildError(AtlasError):
    """A build stopped; names the stage."""

    def __init__(self, stage: str, problem: str) -> None:
        super().__init__(f"{stage}: {problem}")
        self.stage = stage
        self.problem = problem
