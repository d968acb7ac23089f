"""Place layers as the API shows them: what they tell, and whom to cite.

Pure functions of the manifest.
"""

from __future__ import annotations

import msgspec

from atlas.api.schemas import LayerSummary
from atlas.bundle.manifest import LayerEntry


def layer_summary(entry: LayerEntry) -> LayerSummary:
    """One layer, without what only the files' reader needs."""
    return msgspec.convert(entry, LayerSummary, from_attributes=True)
