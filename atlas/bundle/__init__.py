"""The on-disk format of a bundle, both writing and reading.

The one thing that `indexer` and `atlas` share, beside pure functions and the encoder.
"""

from atlas.bundle.bundle import Bundle as Bundle
from atlas.bundle.manifest import Manifest as Manifest
from atlas.bundle.manifest import SpaceDescription as SpaceDescription
