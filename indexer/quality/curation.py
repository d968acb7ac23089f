"""What is done to every record as it is read: doubtful ones are flagged, sensitive places hidden.

Read from the plan once; any process may apply it, the same records always give the same.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version

import msgspec
import numpy as np
import pyarrow as pa

from indexer.plan import Plan
from indexer.quality.checks import QualityChecks
from indexer.quality.sensitive_taxa import SensitiveTaxa

# Raised by hand when a change of the code flags or hides other records.
_VERSION = 1


class Curation(msgspec.Struct, frozen=True, kw_only=True):
    """The checks and the rules of one plan; `resolution` is that of the finest cells.

    `identity` stands for all that it follows from: settings, files and the packages asked.
    """

    checks: QualityChecks
    sensitive: SensitiveTaxa
    resolution: int
    identity: str

    def apply(self, records: pa.Table) -> pa.Table:
        """The same records in the same order, flagged, and coarse where their taxon is sensitive.

        Records come with the cells of their published places.
        """
        flags = records["flags"].to_numpy() | self.checks.flags_of(records)
        at = records.schema.get_field_index("flags")
        flagged = records.set_column(
            at, records.schema.field(at), pa.array(flags.astype(np.int32), pa.int32())
        )
        return self.sensitive.hide(flagged, self.resolution)


def curation_of(plan: Plan) -> Curation:
    """What a plan asks for. Raises PlanError where a file that it names cannot be used."""
    checks = QualityChecks.of(plan.quality)
    sensitive = SensitiveTaxa.read(plan.sensitive.table)
    said = [
        _VERSION,
        [column.tolist() for column in checks.points],
        sorted(checks.land_taxa),
        plan.quality.region,
        version("basemap_data"),
        sensitive.digest,
    ]
    return Curation(
        checks=checks,
        sensitive=sensitive,
        resolution=plan.cells.resolution,
        identity=hashlib.sha256(msgspec.json.encode(said)).hexdigest(),
    )
