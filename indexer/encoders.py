"""The encoders that a plan names, and which of its sources need one.

Torch and OpenCLIP take seconds to import, so that is done where an encoder is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexer.plan import Plan
from indexer.plan_sections import EmbeddingsSection, SpaceSection
from indexer.progress import Watcher
from indexer.sources import Source

if TYPE_CHECKING:
    from atlas.search.encoder import EncoderChoice, OpenClipEncoder


def ready_spaces(plan: Plan, source: Source) -> tuple[str, ...] | None:
    """The spaces whose vectors a source brings; None where it brings pictures to make them from.

    In a plan without spaces no source brings pictures.
    """
    if not plan.spaces:
        return ()
    settings = source.settings
    return (settings.space,) if isinstance(settings, EmbeddingsSection) else None


def load_encoders(
    plan: Plan, sources: Sequence[Source], watcher: Watcher
) -> dict[str, OpenClipEncoder]:
    """The encoders that pictures go through; none where all vectors come ready."""
    if all(ready_spaces(plan, source) is not None for source in sources):
        return {}
    from atlas.search.encoder import load_encoder  # noqa: PLC0415 - slow, see the module

    encoders = {}
    for space in plan.spaces:
        encoders[space.name] = load_encoder(encoder_choice(space))
        watcher.note(
            f"encoder {space.encoder}: {encoders[space.name].dim} dimensions, "
            f"{encoders[space.name].device}, {encoders[space.name].dtype}"
            + (", compiled" if encoders[space.name].compiled else "")
        )
    return encoders


def encoder_choice(space: SpaceSection) -> EncoderChoice:
    """How a plan's space loads its encoder."""
    from atlas.search.encoder import EncoderChoice  # noqa: PLC0415 - slow, see the module

    return EncoderChoice(
        spec=space.encoder,
        pretrained=space.pretrained,
        device=space.device,
        dtype=space.dtype,
        batch_size=space.batch_size,
        compile=space.compile,
    )
