"""Gaps as GeoJSON (RFC 7946) and as CSV (RFC 4180), with the numbers that the JSON has. Pure."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec

from atlas.api.gap_schemas import GapAnswer, GapFeature, GapFeatures
from atlas.api.geojson import multipolygons
from atlas.species.gap_answers import Gap


def gap_features(answer: GapAnswer) -> GapFeatures:
    """The answer with each cell as a feature; what is said of the whole is kept."""
    names = (name for name in answer.__struct_fields__ if name != "gaps")
    return GapFeatures(
        features=[
            GapFeature(id=gap.cell, geometry=outline, properties=gap)
            for gap, outline in zip(
                answer.gaps, multipolygons([gap.cell for gap in answer.gaps]), strict=True
            )
        ],
        ranking={name: msgspec.to_builtins(getattr(answer, name)) for name in names},
    )


def gap_table(answer: GapAnswer) -> bytes:
    """One line a cell, best first, columns named as in the JSON; empty where nothing is known."""
    lines = [{"position": place, **flat(gap)} for place, gap in enumerate(answer.gaps, start=1)]
    return csv_of(lines, ["position", *COLUMNS])


def csv_of(lines: list[dict[str, Any]], columns: list[str]) -> bytes:
    """Lines with these columns as UTF-8."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()


def flat(gap: Gap) -> dict[str, Any]:
    """A gap without nesting: parts of `score` and `sampling` by name, `nearby_` before those."""
    plain: dict[str, Any] = msgspec.to_builtins(gap)
    parts: dict[str, Any] = plain.pop("score") | plain.pop("sampling")
    nearby = {f"nearby_{name}": value for name, value in plain.pop("nearby").items()}
    return plain | parts | nearby


COLUMNS = (
    *("cell", "latitude", "longitude", "area_km2", "land_share", "state"),
    *("score", "expected_new_species", "first_visit_species", "borrowed_from"),
    *("ignorance", "recency", "richness_around"),
    *("records", "visits", "observers", "species", "incidences", "once", "twice"),
    *("coverage", "richness", "richness_lower", "richness_upper", "slope"),
    *("last_day", "days_since"),
    *("nearby_rings", "nearby_cells", "nearby_visited", "nearby_visits"),
    *("nearby_species_a_visit", "nearby_assessed", "nearby_richness"),
    "reason",
)
