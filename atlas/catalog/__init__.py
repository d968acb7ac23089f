"""The read side of a bundle's DuckDB file: records, taxa, sources, licences, and plain tables.

Knows tables, not questions: filters and maps bring their own SQL.
"""

from atlas.catalog.catalog import Catalog as Catalog
from atlas.catalog.rows import ImageRow as ImageRow
from atlas.catalog.rows import Source as Source
from atlas.catalog.rows import Taxon as Taxon
