"""What controllers need to know of the bundle that is served. Pure data."""

from __future__ import annotations

import hashlib

import msgspec

from atlas.api.basemaps import OperatorBasemap, content_policy
from atlas.bundle import Manifest
from atlas.settings import Settings


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle's number, tag and finest cells; how long clients may keep answers.

    `content_policy` is the Content-Security-Policy of the page.
    """

    bundle_number: int
    bundle_tag: str
    cell_resolution: int
    tile_cache_s: int
    picture_cache_s: int
    content_policy: str

    @classmethod
    def of(cls, manifest: Manifest, settings: Settings, basemap: OperatorBasemap) -> Serving:
        """What follows from the bundle, the settings and the basemap.

        The tag follows from the files' checksums: equal bundles on several servers share tags.
        """
        checksums = "".join(entry.sha256 for entry in manifest.files)
        return cls(
            bundle_number=manifest.number,
            bundle_tag=hashlib.sha256(checksums.encode()).hexdigest(),
            cell_resolution=manifest.cell_resolution,
            tile_cache_s=settings.maps.tile_cache_s,
            picture_cache_s=settings.pictures.cache_s,
            content_policy=content_policy(basemap, settings.page.hosts),
        )
