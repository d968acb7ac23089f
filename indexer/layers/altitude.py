"""Elevation of the whole earth's land from the package `pvlib`: a map of five arc minutes.

One number stands for some 9 km by 9 km, in steps of 28 m: enough to tell highlands from lowlands.
Nothing is copied into the project. One thread.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import MemoryFile

from atlas.errors import BuildError
from indexer.layers.raster_file import RasterFile

# As pvlib.location.lookup_altitude reads it.
_NO_DATA, _STEP_M, _LOWEST_M = 255, 28.0, -450.0


class PackagedRaster(RasterFile, frozen=True, kw_only=True):
    """A raster that a package holds; `package` is its name in the registry."""

    package: str
    title: str
    licence: str
    citation: str
    url: str

    def fingerprint(self) -> str:
        """The package's name and version."""
        return f"{self.package} {version(self.package)}"


def altitude() -> PackagedRaster:
    """The map as a raster; BuildError where its packages are not installed."""
    return PackagedRaster(
        path=Path(_in_memory().name),
        package="pvlib",
        title="Elevation of land, five arc minutes",
        licence="open data of many agencies: see the citation",
        citation="Altitude map of pvlib, from Mapzen terrain tiles: ArcticDEM, Geoscience "
        "Australia, offene Daten Österreichs, EU-DEM of Copernicus, ETOPO1 of NOAA, INEGI, LINZ, "
        "Kartverket, UK Environment Agency; 3DEP, GMTED2010 and SRTM of the U.S. Geological Survey",
        url="https://github.com/tilezen/joerd/blob/master/docs/data-sources.md",
    )


@cache
def _in_memory() -> MemoryFile:
    """The map as a GeoTIFF in this process's memory, made once."""
    try:
        import h5py  # noqa: PLC0415 - only the extra `demo` has it

        source = files("pvlib").joinpath("data", "Altitude.h5")
    except ImportError as error:
        raise BuildError("layer", "elevation needs the packages of the extra `demo`") from error
    with as_file(source) as path, h5py.File(path) as held:
        stored = np.asarray(held["Altitude"])
    metres = np.where(stored == _NO_DATA, np.nan, stored * _STEP_M + _LOWEST_M)
    height, width = metres.shape
    memory = MemoryFile(ext=".tif")
    with memory.open(
        driver="GTiff",
        height=height,
        width=width,
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=rasterio.Affine(360.0 / width, 0.0, -180.0, 0.0, -180.0 / height, 90.0),
        nodata=np.nan,
    ) as raster:
        raster.write(metres.astype(np.float32), 1)
    return memory
