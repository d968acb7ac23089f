"""`[quality]`, `[sensitive]`, `[exclude]` of a plan: what is flagged, hidden, and left out.

Knows nothing of files or of TOML: `indexer.plan` reads them. Immutable, safe from any thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from indexer.section import Section, Text

Metres = Annotated[float, msgspec.Meta(ge=0, le=100_000)]
# Taxa that live on land or in fresh water, as far as a record out at sea is most likely a wrong
# place. Birds, mammals and reptiles are not among them: too many of them live at sea.
LAND_TAXA = (
    "Amphibia",
    "Arachnida",
    "Bryophyta",
    "Chilopoda",
    "Diplopoda",
    "Insecta",
    "Tracheophyta",
)


class QualitySection(Section, frozen=True, kw_only=True):
    """`[quality]`: what makes a record doubtful; such records are flagged, never dropped."""

    reference_points: Path | None = None
    """CSV file of points at which records are doubtful, with the columns `kind` (`centroid`,
    `capital` or `institution`), `name`, `latitude`, `longitude` and `radius_m`; they stand beside
    the centroids and capitals of countries that the indexer knows."""
    centroid_m: Metres = 1_000.0
    """A record this near the centroid of a country is flagged; 0: only points of the file."""
    capital_m: Metres = 2_000.0
    """A record this near the centre of a capital is flagged; 0: only points of the file."""
    land_taxa: tuple[Text, ...] = LAND_TAXA
    """Taxa of any rank whose records out at sea (no land within 0.1 degrees) are flagged."""
    region: tuple[float, float, float, float] | None = None
    """The study region as west, south, east, north in degrees, west greater than east across the
    antimeridian; records outside it are flagged. None by default."""

    def __post_init__(self) -> None:
        """Check what types cannot: a region on the globe."""
        if self.region is None:
            return
        west, south, east, north = self.region
        if not (-90 <= south < north <= 90 and abs(west) <= 180 and abs(east) <= 180):
            raise ValueError("`region` must be west, south, east, north in degrees")


class SensitiveSection(Section, frozen=True, kw_only=True):
    """`[sensitive]`: taxa whose places are made coarse before anything else is made of them."""

    table: Path | None = None
    """CSV file with the columns `taxon` (a scientific name of any rank), `category` (`withheld`,
    `1` to `4`, or the degrees `1`, `0.1`, `0.01`, `0.001`) and, where it holds somewhere only,
    `region` (west, south, east, north in degrees, or a polygon as WKT)."""


class ExcludeSection(Section, frozen=True, kw_only=True):
    """`[exclude]`: rows that are to be left out, by a list of ids."""

    file: Path | None = None
    """Parquet file with the ids; a row that it names goes to the rejects as `excluded`."""
    column: Text = "occurrence_id"
    """Column of that file with the ids, text or whole numbers; it may not be empty anywhere."""
    by: Literal["occurrence_id", "image_id", "file"] = "occurrence_id"
    """What the ids are: of records, of images, or names of photos as the source gives them (a path
    below its folder, or an address)."""
