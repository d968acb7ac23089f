"""The account of a build: rows in = rows out + rejects, by source and by reason.

Counts what the parts report and what sorting refused; knows nothing of why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.errors import BuildError
from indexer.parts import PartReport
from indexer.records import REJECT_SCHEMA, RejectReason
from indexer.work import write_batches


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Reports of all parts of a build, in the order of the sources; `source_of` by part."""

    source_of: dict[str, str]
    read: dict[str, PartReport]
    embedded: dict[str, PartReport]

    @property
    def dims(self) -> dict[str, int]:
        """Dimension of each space. Raises BuildError where parts disagree."""
        dims: dict[str, int] = {}
        for report in self.embedded.values():
            for space, dim in report.dims.items():
                if dims.setdefault(space, dim) != dim:
                    raise BuildError(
                        "sort",
                        f"space {space!r} has {dims[space]} dimensions, "
                        f"but {dim} in part {report.part}",
                    )
        return dims


class SourceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one source's rows; `rejects` counts by reason."""

    rows_in: int
    rows_out: int
    rejects: dict[str, int]


def write_rejects(paths: Sequence[Path], path: Path) -> None:
    """Put all rejects of a build into one Parquet file, in the order of `paths`."""

    def batches() -> Iterable[pa.RecordBatch]:
        for part in paths:
            yield from pq.read_table(part, schema=REJECT_SCHEMA).to_batches()

    write_batches(path, REJECT_SCHEMA, batches())


def account_of(parts: Parts, rows: int, rejects: Path) -> dict[str, SourceAccount]:
    """The account of every source. Raises BuildError unless all rows are accounted for.

    `rows` are those of the bundle, `rejects` is the file of all rejects.
    """
    table = pq.read_table(rejects, columns=["source_key", "reason"])
    refused: dict[str, Counter[str]] = {key: Counter() for key in parts.source_of.values()}
    for key, reason in zip(*(column.to_pylist() for column in table.columns), strict=True):
        refused[key][reason] += 1
    rows_in: Counter[str] = Counter()
    for name, report in parts.read.items():
        rows_in[parts.source_of[name]] += report.rows_in
    accounts = {
        key: SourceAccount(
            rows_in=rows_in[key],
            rows_out=rows_in[key] - reasons.total(),
            rejects=dict(sorted(reasons.items())),
        )
        for key, reasons in refused.items()
    }
    if sum(account.rows_out for account in accounts.values()) != rows:
        raise BuildError(
            "account",
            f"{rows_in.total()} rows in, but {rows} rows out and {table.num_rows} rejects",
        )
    return accounts


def check_rejects(accounts: dict[str, SourceAccount], max_share: float, rejects: Path) -> None:
    """Raise BuildError where more than `max_share` of all rows was refused, or no row is left.

    Rows that the plan leaves out on purpose are no sign of bad input, and not in the share.
    """
    rows_in = sum(account.rows_in for account in accounts.values())
    reasons: Counter[str] = Counter()
    for account in accounts.values():
        reasons.update(account.rejects)
    listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    if reasons.total() == rows_in:
        raise BuildError("account", f"all {rows_in} rows were refused: {listed}; see {rejects}")
    refused = reasons.total() - reasons[RejectReason.EXCLUDED]
    if refused > max_share * rows_in:
        raise BuildError(
            "account",
            f"{refused} of {rows_in} rows were refused, more than the plan's share of "
            f"{max_share:g}: {listed}; see {rejects}",
        )
