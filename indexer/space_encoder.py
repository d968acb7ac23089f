"""The encoder that a finished bundle's space was made with, for asking it in words.

Loads models; one thread.
"""

from __future__ import annotations

from atlas.bundle.manifest import SpaceDescription
from atlas.errors import SpaceUnavailable
from atlas.search.encoder import EncoderChoice, OpenClipEncoder, load_encoder


def encoder_of(space: SpaceDescription) -> OpenClipEncoder:
    """Load the encoder of a space.

    Raises SpaceUnavailable where the space names none or the weights are not those that made its
    vectors, EncoderError where it cannot be loaded.
    """
    if not space.encoder:
        raise SpaceUnavailable(space.name, "has no encoder, so it cannot be asked in words")
    encoder = load_encoder(EncoderChoice(spec=space.encoder, pretrained=space.pretrained))
    if space.fingerprint is not None and encoder.fingerprint != space.fingerprint:
        raise SpaceUnavailable(space.name, f"{space.encoder} has other weights than its vectors")
    return encoder
