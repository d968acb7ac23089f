"""Features of a file: GeoPackage, Shapefile, GeoJSON, FlatGeobuf (GDAL) and GeoParquet.

Read in batches of Arrow, so a file may be larger than memory. Whatever the file's coordinate
system, features come in WGS84 degrees. One thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyogrio
import pyproj
import shapely

from atlas.bundle.files import sha256_of
from atlas.errors import PlanError
from atlas.geo.distance import PIECE_M
from atlas.geo.outlines import Floats, Geometries
from indexer.layers.features import Features

# Features of a batch; rivers of 30 vertices each take about 200 MB with their tree.
BATCH_FEATURES = 100_000
_WGS84 = pyproj.CRS.from_epsg(4326)
_GEOPARQUET = {".parquet", ".geoparquet"}


class VectorFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of points, lines or areas; columns are named where they exist.

    `layer` chooses one of several in a file. `crs` is what the file's coordinates are in where it
    does not say so itself (any text that PROJ understands).
    """

    path: Path
    layer: str | None = None
    order_column: str | None = None
    name_column: str | None = None
    code_column: str | None = None
    crs: str | None = None

    def features(self) -> Iterator[Features]:
        """All features in batches; PlanError names the file and the feature at fault."""
        first = 0
        with self._opened() as (crs, geometry_column, batches):
            to_degrees = _Degrees(crs)
            for batch in batches:
                yield self._features(batch, geometry_column, to_degrees, first)
                first += batch.num_rows

    def count(self) -> int:
        """Number of features; 0 where the file does not say."""
        if self._is_parquet:
            return int(self._metadata().num_rows)
        with self._reading():
            return max(0, int(pyogrio.read_info(self.path, layer=self.layer)["features"]))

    def fingerprint(self) -> str:
        """SHA-256 of the file and of what is read of it."""
        chosen = [self.layer, self.order_column, self.name_column, self.code_column, self.crs]
        return f"{sha256_of(self.path)} {json.dumps(chosen)}"

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix.lower() in _GEOPARQUET

    @property
    def _columns(self) -> list[str]:
        named = (self.order_column, self.name_column, self.code_column)
        return list(dict.fromkeys(name for name in named if name is not None))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
            raise PlanError(self.path, f"cannot be read as a map: {error}") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise PlanError(self.path, f"cannot be read: {error}") from error

    @contextmanager
    def _opened(self) -> Iterator[tuple[pyproj.CRS, str, Iterator[pa.RecordBatch]]]:
        if self._is_parquet:
            yield self._open_parquet()
            return
        with self._reading():
            self._check_columns(list(pyogrio.read_info(self.path, layer=self.layer)["fields"]))
        with (
            self._reading(),
            pyogrio.open_arrow(
                self.path,
                layer=self.layer,
                columns=self._columns,
                batch_size=BATCH_FEATURES,
                use_pyarrow=True,
            ) as (meta, reader),
        ):
            yield self._crs(meta["crs"]), meta["geometry_name"] or "wkb_geometry", reader

    def _open_parquet(self) -> tuple[pyproj.CRS, str, Iterator[pa.RecordBatch]]:
        metadata = self._metadata()
        self._check_columns(metadata.schema.to_arrow_schema().names)
        written = (metadata.metadata or {}).get(b"geo")
        if written is None:
            raise PlanError(self.path, "is no GeoParquet: it has no `geo` metadata")
        geo = json.loads(written)
        column = geo["primary_column"]
        described = geo["columns"][column]
        if described["encoding"] != "WKB":
            raise PlanError(self.path, f"geometry as {described['encoding']}; WKB is read")
        # GeoParquet: without a CRS it is OGC:CRS84, degrees of WGS84.
        stated = described.get("crs", "OGC:CRS84")
        file = pq.ParquetFile(self.path)
        batches = file.iter_batches(BATCH_FEATURES, columns=[column, *self._columns])
        return self._crs(stated), column, batches

    def _metadata(self) -> pq.FileMetaData:
        with self._reading():
            return pq.read_metadata(self.path)

    def _check_columns(self, fields: list[str]) -> None:
        for column in self._columns:
            if column not in fields:
                offered = ", ".join(fields) or "none"
                raise PlanError(self.path, f"has no column {column!r}; it has: {offered}")

    def _crs(self, stated: Any) -> pyproj.CRS:  # noqa: ANN401 - text or PROJ's JSON
        if stated is None and self.crs is None:
            raise PlanError(self.path, "does not state its coordinate system; give --crs")
        try:
            return pyproj.CRS.from_user_input(stated if stated is not None else self.crs)
        except pyproj.exceptions.CRSError as error:
            raise PlanError(self.path, f"its coordinate system is not known: {error}") from error

    def _features(
        self, batch: pa.RecordBatch, column: str, to_degrees: _Degrees, first: int
    ) -> Features:
        binary = batch.column(column)
        try:
            geometry = shapely.from_wkb(binary.to_numpy(zero_copy_only=False))
        except shapely.errors.GEOSException as error:
            at = f"features {first} to {first + batch.num_rows - 1}"
            raise PlanError(self.path, f"{at}: a geometry cannot be read: {error}") from error
        geometry = to_degrees(shapely.force_2d(geometry))
        self._check_range(geometry, first)
        return Features(
            geometry=geometry,
            order=self._numbers(batch, first),
            name=_texts(batch, self.name_column),
            code=_texts(batch, self.code_column),
            first=first,
        )

    def _check_range(self, geometry: Geometries, first: int) -> None:
        points, feature = shapely.get_coordinates(geometry, return_index=True)
        # Some files draw the Pacific in one piece, up to 360 degrees east.
        wrong = ~((np.abs(points[:, 0]) <= 360.0) & (np.abs(points[:, 1]) <= 90.0 + 1e-9))
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            longitude, latitude = points[at]
            raise PlanError(
                self.path,
                f"feature {first + int(feature[at])}: longitude {longitude}, latitude {latitude} "
                "is no place; is its coordinate system right?",
            )

    def _numbers(self, batch: pa.RecordBatch, first: int) -> Floats:
        if self.order_column is None:
            return np.full(batch.num_rows, np.nan)
        column = batch.column(self.order_column)
        try:
            numbers = pc.cast(column, pa.float64())
        except pa.ArrowInvalid as error:
            at = f"features from {first} on: column {self.order_column!r}"
            raise PlanError(self.path, f"{at}: {error}") from error
        return np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64)


class _Degrees:
    """Moves geometries of any coordinate system to WGS84 degrees."""

    def __init__(self, crs: pyproj.CRS) -> None:
        self._same = crs.is_geographic and crs.equals(_WGS84, ignore_axis_order=True)
        self._transformer = pyproj.Transformer.from_crs(crs, _WGS84, always_xy=True)
        # An edge is straight in the file's own system: it is cut there, before it bends.
        self._longest = None
        if crs.is_projected:
            self._longest = PIECE_M / (crs.axis_info[0].unit_conversion_factor or 1.0)

    def __call__(self, geometry: Geometries) -> Geometries:
        if self._same:
            return geometry
        if self._longest is not None:
            geometry = shapely.segmentize(geometry, self._longest)
        moved: Geometries = shapely.transform(geometry, self._moved)
        return moved

    def _moved(self, points: Floats) -> Floats:
        longitude, latitude = self._transformer.transform(points[:, 0], points[:, 1])
        return np.stack([longitude, latitude], axis=1)


def _texts(batch: pa.RecordBatch, column: str | None) -> list[str]:
    if column is None:
        return [""] * batch.num_rows
    return [
        str(value)
        for value in pc.fill_null(pc.cast(batch.column(column), pa.string()), "").to_pylist()
    ]
