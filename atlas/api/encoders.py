"""Opens the spaces of a bundle with the encoders that a server is to read words and photos with.

An encoder that is not the one which made a space's vectors is refused; one that cannot be loaded is
refused or gone without, as the settings say. Called at start and when a new state is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from atlas.api.spaces import SpaceReader, Spaces
from atlas.bundle import Bundle, SpaceDescription
from atlas.errors import EncoderError
from atlas.search.encoder import Encoder, EncoderChoice
from atlas.settings import Settings, SpacesSettings

EncoderLoader = Callable[[EncoderChoice], Encoder]


def open_spaces(
    bundle: Bundle,
    settings: Settings,
    loader: EncoderLoader,
    previous: Iterable[SpaceReader] = (),
) -> Spaces:
    """Load the encoder of every space; EncoderError unless the settings allow to go without.

    The encoders of `previous` are used on where a space wants the same, with the same weights.
    """
    held = {
        _choice(_spec(reader.space, settings), reader.space, settings.spaces): reader.encoder
        for reader in previous
        if reader.encoder is not None
    }

    def load(choice: EncoderChoice, fingerprint: str | None) -> Encoder:
        encoder = held.get(choice)
        if encoder is None or fingerprint not in {None, encoder.fingerprint}:
            return loader(choice)
        return encoder

    readers = {space.name: _open_space(space, settings, load) for space in bundle.spaces.values()}
    return Spaces(readers, max_pixels=settings.pictures.max_pixels)


def _spec(space: SpaceDescription, settings: Settings) -> str:
    """Where a space's encoder is to be loaded from."""
    return settings.spaces.encoders.get(space.name, space.encoder)


def _open_space(
    space: SpaceDescription,
    settings: Settings,
    load: Callable[[EncoderChoice, str | None], Encoder],
) -> SpaceReader:
    logger = structlog.stdlib.get_logger("atlas.start")
    spec = _spec(space, settings)
    if not spec:
        missing = "its vectors came without an encoder; ask by image_id or vector"
        return SpaceReader(space, None, missing=missing)
    try:
        encoder = load(_choice(spec, space, settings.spaces), space.fingerprint)
    except EncoderError as error:
        if settings.spaces.missing_encoder == "refuse":
            raise EncoderError(
                spec,
                f"{error.problem} (space {space.name}). To serve this space without text and "
                'photo questions, set spaces.missing_encoder = "serve" '
                "(ATLAS_SPACES__MISSING_ENCODER=serve)",
            ) from error
        logger.warning("space without encoder", space=space.name, problem=error.problem)
        missing = f"its encoder {spec} is not on this server; ask by image_id or vector"
        return SpaceReader(space, None, missing=missing)
    _check_encoder(space, spec, encoder)
    if space.fingerprint is None:
        logger.warning("weights not compared: the space states none", space=space.name)
    return SpaceReader(space, encoder)


def _choice(spec: str, space: SpaceDescription, settings: SpacesSettings) -> EncoderChoice:
    return EncoderChoice(
        spec=spec,
        pretrained=space.pretrained if spec == space.encoder else None,
        device=settings.device,
        dtype=settings.dtype,
        compile=settings.compile,
    )


def _check_encoder(space: SpaceDescription, spec: str, encoder: Encoder) -> None:
    """Vectors of other weights look right and mean nothing: never served, whatever is set."""
    if encoder.dim != space.dim:
        problem = f"gives {encoder.dim} dimensions; space {space.name} has {space.dim}"
        raise EncoderError(spec, problem)
    if space.fingerprint is not None and encoder.fingerprint != space.fingerprint:
        raise EncoderError(
            spec,
            f"its weights (fingerprint {encoder.fingerprint[:12]}) are not those that made "
            f"space {space.name} ({space.fingerprint[:12]})",
        )
