"""What a raster says within a circle around each place: the least and the greatest number there.

A circle is taken as the smallest rectangle of pixels that holds it, so a bound is never too narrow.
Whatever the raster's coordinate system; read tile by tile, so it may be larger than memory. One
thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyproj
import rasterio
from rasterio.windows import Window

from atlas.bundle.files import sha256_of
from atlas.errors import PlanError
from atlas.geo.outlines import Flags, Floats, Integers, short_way

RASTERS = {".tif", ".tiff", ".vrt"}
_GEOD = pyproj.Geod(ellps="WGS84")
# Eight points on a circle; a rectangle around them holds the circle once it is this much larger.
_AZIMUTHS = np.arange(0.0, 360.0, 45.0)
_LARGER = 1.0 / np.cos(np.radians(22.5))
_TILE = 1_024
# A circle of more pixels is not read: what it holds is not known.
MOST_PIXELS = 2_048
# Rectangles of more pixels are looked up in a coarser picture, of fours by fours.
_SPAN = 8


class Bounds(NamedTuple):
    """The least and the greatest number near each of n places; NaN where it is not known."""

    low: Floats
    high: Floats


class _Rectangles(NamedTuple):
    """Pixels from the first to the last, both included, one rectangle a place."""

    top: Integers
    bottom: Integers
    left: Integers
    right: Integers

    def chosen(self, index: Integers | Flags) -> _Rectangles:
        return _Rectangles(*(edge[index] for edge in self))


class RasterFile(msgspec.Struct, frozen=True, kw_only=True):
    """One band of a file that GDAL reads. `crs` holds where the file does not state its own."""

    path: Path
    band: int = 1
    crs: str | None = None

    def fingerprint(self) -> str:
        """SHA-256 of the file, and the band."""
        return f"{sha256_of(self.path)} band {self.band}"

    def bounds(
        self,
        latitude: Floats,
        longitude: Floats,
        radius_m: Floats,
        outside: float = np.nan,
    ) -> Bounds:
        """Bounds within a radius of each place; all (n,).

        A pixel without data, and one beyond the raster, counts as `outside`; with NaN it makes the
        bounds unknown.
        """
        low, high = np.full(len(latitude), np.nan), np.full(len(latitude), np.nan)
        with self._opened() as raster:
            found, known, beyond = self._rectangles(raster, latitude, longitude, radius_m)
            low[beyond] = high[beyond] = outside
            usable = np.flatnonzero(known & ~beyond)
            tiles = np.stack([found.top[usable] // _TILE, found.left[usable] // _TILE])
            _, tile = np.unique(tiles, axis=1, return_inverse=True)
            order = np.argsort(tile, kind="stable")
            for chosen in np.split(usable[order], np.flatnonzero(np.diff(tile[order])) + 1):
                if len(chosen):
                    self._fill(raster, found.chosen(chosen), chosen, outside, low, high)
        return Bounds(low, high)

    @contextmanager
    def _opened(self) -> Iterator[rasterio.DatasetReader]:
        try:
            with rasterio.open(self.path) as raster:
                if not 1 <= self.band <= raster.count:
                    raise PlanError(self.path, f"has {raster.count} bands, no band {self.band}")
                yield raster
        except rasterio.errors.RasterioIOError as error:
            raise PlanError(self.path, f"cannot be read as a raster: {error}") from error

    def _crs(self, raster: rasterio.DatasetReader) -> pyproj.CRS:
        stated = raster.crs.to_wkt() if raster.crs else self.crs
        if stated is None:
            raise PlanError(self.path, "does not state its coordinate system; give --crs")
        return pyproj.CRS.from_user_input(stated)

    def _rectangles(
        self,
        raster: rasterio.DatasetReader,
        latitude: Floats,
        longitude: Floats,
        radius_m: Floats,
    ) -> tuple[_Rectangles, Flags, Flags]:
        """The pixels around each place, whether they are known, and whether all lie beyond."""
        edges, placed = self._edges(raster, latitude, longitude, radius_m)
        known = np.isfinite(edges).all(axis=0)
        top, bottom, left, right = np.where(known, np.floor(edges), 0.0).astype(np.int64)
        turn = self._turn(raster)
        if turn:
            # Longitudes of a raster may run from 0 to 360 or from -180 to 180.
            shift = np.floor_divide(left, turn) * turn
            left, right = left - shift, right - shift
        beyond = ~placed | (known & ((bottom < 0) | (top >= raster.height)))
        across = (right < 0) | (left >= raster.width)
        if turn:
            across &= right - turn < 0  # a circle may begin east of the raster and end in it
        beyond |= known & across
        # A circle around a pole is no rectangle of degrees.
        known &= np.abs(latitude) + radius_m / 110_000.0 < 90.0
        known &= np.maximum(bottom - top, right - left) < MOST_PIXELS
        return _Rectangles(top, bottom, left, right), known, beyond

    def _edges(
        self,
        raster: rasterio.DatasetReader,
        latitude: Floats,
        longitude: Floats,
        radius_m: Floats,
    ) -> tuple[Floats, Flags]:
        """First and last row and column of each circle, (4, n), and where it can be placed."""
        crs = self._crs(raster)
        moved = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
        inverse = ~raster.transform
        edges = np.stack([np.full(len(latitude), edge) for edge in (np.inf, -np.inf) * 2])
        placed = np.ones(len(latitude), np.bool_)
        # Around a place without a radius, such as the points of a cell, there is nothing to see.
        for azimuth in (None, *(_AZIMUTHS if np.any(radius_m) else ())):
            lon, lat = longitude, latitude
            if azimuth is not None:
                bearing = np.full(len(latitude), azimuth)
                lon, lat, _ = _GEOD.fwd(longitude, latitude, bearing, radius_m * _LARGER)
                # In degrees a circle is one piece; across the antimeridian it leaves [-180, 180].
                lon = longitude + short_way(lon - longitude)
            x, y = (lon, lat) if crs.is_geographic else moved.transform(lon, lat)
            if azimuth is None:
                placed = np.isfinite(x) & np.isfinite(y)
            with np.errstate(invalid="ignore"):
                column = inverse.a * x + inverse.b * y + inverse.c
                row = inverse.d * x + inverse.e * y + inverse.f
            edges[0], edges[1] = np.minimum(edges[0], row), np.maximum(edges[1], row)
            edges[2], edges[3] = np.minimum(edges[2], column), np.maximum(edges[3], column)
        return edges, placed

    def _turn(self, raster: rasterio.DatasetReader) -> int:
        """Pixels around the whole earth, 0 where columns are no longitudes."""
        return round(abs(360.0 / raster.transform.a)) if self._crs(raster).is_geographic else 0

    def _fill(
        self,
        raster: rasterio.DatasetReader,
        rectangles: _Rectangles,
        chosen: Integers,
        outside: float,
        low: Floats,
        high: Floats,
    ) -> None:
        """Look up the rectangles of one tile."""
        top, left = int(rectangles.top.min()), int(rectangles.left.min())
        height, width = (
            int(rectangles.bottom.max()) - top + 1,
            int(rectangles.right.max()) - left + 1,
        )
        pixels = self._read(raster, top, left, height, width, outside)
        here = _Rectangles(
            rectangles.top - top,
            rectangles.bottom - top,
            rectangles.left - left,
            rectangles.right - left,
        )
        span = np.maximum(here.bottom - here.top, here.right - here.left) + 1
        least = most = pixels
        level = 0
        while True:
            fits = (span > _SPAN * 4 ** (level - 1)) & (span <= _SPAN * 4**level)
            if level == 0:
                fits = span <= _SPAN
            if fits.any():
                part = _Rectangles(*(edge[fits] >> (2 * level) for edge in here))
                low[chosen[fits]] = _reduced(least, part, np.minimum)
                high[chosen[fits]] = _reduced(most, part, np.maximum)
            if _SPAN * 4**level >= span.max():
                return
            least, most = _coarser(least, np.minimum), _coarser(most, np.maximum)
            level += 1

    def _read(
        self,
        raster: rasterio.DatasetReader,
        top: int,
        left: int,
        height: int,
        width: int,
        outside: float,
    ) -> Floats:
        """Pixels of a rectangle that may reach beyond the raster, and around the earth."""
        pixels = np.full((height, width), outside)
        turn = self._turn(raster)
        for shift in {0, turn, -turn}:
            first, last = max(0, left + shift), min(raster.width, left + shift + width)
            begin, end = max(0, top), min(raster.height, top + height)
            if first >= last or begin >= end:
                continue
            window = Window(first, begin, last - first, end - begin)
            read = raster.read(self.band, window=window, masked=True)
            numbers = np.ma.filled(read.astype(np.float64), np.nan)
            numbers = numbers * raster.scales[self.band - 1] + raster.offsets[self.band - 1]
            place = pixels[begin - top : end - top, first - left - shift : last - left - shift]
            np.copyto(place, np.where(np.isnan(numbers), outside, numbers))
        return pixels


def _coarser(pixels: Floats, reduce: np.ufunc) -> Floats:
    """One number for every four by four pixels; beyond the edge the edge is repeated."""
    height, width = (-(-size // 4) * 4 for size in pixels.shape)
    padded = np.pad(
        pixels, ((0, height - pixels.shape[0]), (0, width - pixels.shape[1])), mode="edge"
    )
    blocks = padded.reshape(height // 4, 4, width // 4, 4)
    return np.asarray(reduce.reduce(reduce.reduce(blocks, axis=3), axis=1), np.float64)


def _reduced(pixels: Floats, rectangles: _Rectangles, reduce: np.ufunc) -> Floats:
    """The least or greatest number of each small rectangle; NaN where one of its pixels is."""
    found = pixels[rectangles.top, rectangles.left]
    for down in range(int((rectangles.bottom - rectangles.top).max()) + 1):
        row = np.minimum(rectangles.top + down, rectangles.bottom)
        for right in range(int((rectangles.right - rectangles.left).max()) + 1):
            column = np.minimum(rectangles.left + right, rectangles.right)
            found = reduce(found, pixels[row, column])
    return np.asarray(found, np.float64)
