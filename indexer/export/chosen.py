"""Which rows of a bundle an export holds: the server's own filters, compiled by its own compiler.

The one module of the indexer that asks as the server does, so that an export and a search under
the same filter hold the same photos. One thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.bundle import Bundle
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery
from atlas.geo.layers import Layers
from atlas.search.compiler import CompiledFilter, FilterCompiler
from atlas.search.filters import Filter
from atlas.species.names import TaxonNames, taxon_named


class Chosen(NamedTuple):
    """An open bundle, its catalog, and the rows that pass."""

    bundle: Bundle
    catalog: Catalog
    rows: CompiledFilter

    def flags(self, row_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """The flags that hold now, (n,), of ascending row ids that were not removed."""
        found = self.catalog.table(
            "SELECT row_id, flags FROM image WHERE row_id BETWEEN ? AND ? ORDER BY row_id",
            [int(row_ids[0]), int(row_ids[-1])],
        )
        at = np.searchsorted(found["row_id"], row_ids)
        flags: npt.NDArray[np.int32] = np.asarray(found["flags"], np.int32)[at]
        return flags


@contextmanager
def choose(root: Path, limits: Mapping[str, Any], *, taxon: str | None = None) -> Iterator[Chosen]:
    """Open the live bundle below `root` and compile a filter.

    `limits` are the fields of the API's filter, `taxon` is a name or an id. Raises InvalidQuery
    naming the field at fault, BundleError for a bundle that cannot be opened.
    """
    bundle = Bundle.open(root, "sizes")
    catalog = Catalog.open(bundle.catalog_path)
    try:
        given = dict(limits)
        if taxon is not None:
            given["taxon"] = taxon_named(TaxonNames(catalog), taxon)
        try:
            asked = msgspec.convert(given, Filter, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidQuery("filter", str(error)) from error
        compiler = FilterCompiler(
            catalog,
            bundle.segments,
            finest=bundle.manifest.cell_resolution,
            cache_bytes=0,  # one question is asked
            layers=Layers.of(bundle),
        )
        yield Chosen(bundle, catalog, compiler.compile(asked))
    finally:
        catalog.close()
