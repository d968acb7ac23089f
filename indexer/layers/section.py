"""What a layer is made of, as a plan's `[[layers]]` entry and the command line say it.

Immutable values; knows nothing of how a layer is made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from atlas.bundle.manifest import LayerEntry
from indexer.plan_sections import Section

_PACKAGE = "packages of this environment: "
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class LayerSection(Section, frozen=True, kw_only=True):
    """`[[layers]]`: a place layer from a file, or from a package of this environment."""

    name: str
    """What filters call it: a lower-case letter, then letters, digits and underscores."""
    kind: Literal["distance", "category", "value"] = "distance"
    """Metres to the nearest feature; one of several names; or a quantity."""
    feature: str = ""
    """What it tells of: river, lake, coast, country, region, habitat, elevation; the name if ''."""
    file: Path | None = None
    """A file of features (points, lines, areas) or a GeoTIFF."""
    package: Literal["", "river", "lake", "coast", "country", "elevation"] = ""
    """Instead of a file: what the packages of this environment hold of the whole earth."""
    layer: str | None = None
    """Which layer of the file, where it has several."""
    order_column: str | None = None
    """Column of each feature's order or size, which `min_order` of a filter compares."""
    orders: tuple[float, ...] | None = None
    """Order classes that filters can tell apart; every order of the file if left out."""
    name_column: str | None = None
    """Column of each feature's name."""
    code_column: str | None = None
    """Column of each feature's code, such as ISO 3166-1 alpha-2 of a country."""
    values_file: Path | None = None
    """CSV file that names a raster's categories: columns `value`, `name` and, if any, `code`."""
    band: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Which band of a raster."""
    accuracy_m: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """How far the data themselves may be off; added to the uncertainty of every record."""
    crs: str | None = None
    """The coordinate system of a file that does not state its own."""
    unit: str = "m"
    """Unit of a quantity."""
    title: str = ""
    """What people call the data."""
    licence: str = ""
    """The licence of the data."""
    citation: str = ""
    """How to cite the data."""
    url: str = ""
    """Where the data come from."""

    def __post_init__(self) -> None:
        """Check what fits together."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"`name`: {self.name!r} is not a lower-case word (letters, digits, underscores)"
            )
        if (self.file is None) == (not self.package):
            raise ValueError("`file` or `package`: give exactly one of them")

    @property
    def tells_of(self) -> str:
        """The feature, or the layer's own name."""
        return self.feature or self.name


def origin_of(section: LayerSection) -> str:
    """The package and what of it, or the file's name without the folders of whoever made it."""
    if section.package:
        return f"{_PACKAGE}{section.package}"
    return f"file {section.file.name if section.file else ''}"


def section_of_package(entry: LayerEntry) -> LayerSection | None:
    """What a layer that came from a package was made of; None where it came from a file."""
    if not entry.origin.startswith(_PACKAGE):
        return None
    word = entry.origin.removeprefix(_PACKAGE)
    return msgspec.convert(
        {"name": entry.name, "kind": entry.kind, "feature": entry.feature, "package": word},
        LayerSection,
    )
