"""What leaves a bundle is what is in it: every row that passes, with its licence and its place."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from atlas.bundle.bundle import Bundle
from atlas.bundle.flags import Flag
from atlas.errors import BuildError, InvalidQuery, NotFound
from indexer.build import build
from indexer.commands import indexer
from indexer.export import export as export_module
from indexer.export import tables
from indexer.export.chosen import choose
from indexer.export.export import Export, Format, export_bundle
from indexer.export.rows import Batch, batches
from indexer.plan import read_plan
from indexer.progress import Silent
from indexer.remove import remove
from tests.unit.indexer.archives import descriptor, table_xml, text, write_files

EVERY: dict[str, Any] = {"flags": "all"}
_DWC = "http://rs.tdwg.org/dwc/terms/"
_DC = "http://purl.org/dc/terms/"
_CORE = {
    "occurrenceID": _DWC,
    "scientificName": _DWC,
    "kingdom": _DWC,
    "family": _DWC,
    "vernacularName": _DWC,
    "decimalLatitude": _DWC,
    "decimalLongitude": _DWC,
    "coordinateUncertaintyInMeters": _DWC,
    "eventDate": _DWC,
    "recordedBy": _DWC,
    "basisOfRecord": _DWC,
    "occurrenceStatus": _DWC,
    "informationWithheld": _DWC,
    "license": _DC,
    "rightsHolder": _DC,
    "references": _DC,
}
_MEDIA = ("type", "identifier", "license", "rightsHolder", "references")
PLAN = """\
[atlas]
title = "Frogs, \\"quoted\\" & <marked>"
[output]
bundle = "{bundle}"
[[sources]]
kind = "dwca"
key = "frogs"
title = "Frogs"
citation = "Somebody (2020). Frogs."
path = "{path}"
as_of = 2026-01-01
[rejects]
max_share = 0.5
[quality]
land_taxa = []
[workers]
count = 1
"""


def _occurrence(at: int, **given: str) -> list[str]:
    row = {
        "occurrenceID": f"o-{at}",
        "scientificName": 'Hyla "arborea", L.' if at % 2 else "Rana temporaria",
        "kingdom": "Animalia",
        "family": "Hylidae" if at % 2 else "",
        "vernacularName": "Grenouille des bois 🐸",
        "decimalLatitude": f"{40 + at / 7:.6f}",
        "decimalLongitude": f"{-3 - at / 11:.6f}",
        "coordinateUncertaintyInMeters": ("", "12.5", "30000")[at % 3],
        "eventDate": ("2020-02-03", "2020-02-03/2020-03-04", "2019", "")[at % 4],
        "recordedBy": f"Ærø, Jö {at % 5}",
        "basisOfRecord": "HumanObservation",
        "license": ("CC0-1.0", "CC BY 4.0")[at % 2],
        "rightsHolder": "A society" if at % 3 else "",
        "references": f"https://example.org/records/{at}",
    } | given
    return [str(at), *(row.get(name, "") for name in _CORE)]


def write_frogs(folder: Path) -> Path:
    """An archive of records with none to three photos, some of them with credits of their own."""
    records = [_occurrence(at) for at in range(40)]
    records[3] = _occurrence(3, occurrenceStatus="absent")
    records[5] = _occurrence(5, informationWithheld="Coordinates blurred to 28000m")
    records[6] = _occurrence(6, occurrenceID="o-4")  # two records of one id that say other things
    photos = [
        [
            str(at),
            "StillImage",
            f"https://example.org/photos/{at}-{number}.jpg",
            ("CC BY-NC 4.0", "CC0", "")[number],
            f"Holder {number}" if at % 2 else "",
            f"https://example.org/photos/{at}-{number}" if number else "",
        ]
        for at in range(40)
        for number in range(at % 4)
    ]
    files = {
        "occurrence.txt": text(tuple(_CORE), records),
        "multimedia.txt": text(_MEDIA, photos),
        "meta.xml": descriptor(
            table_xml("core", [space + name for name, space in _CORE.items()], "occurrence.txt"),
            table_xml(
                "extension",
                [_DC + name for name in _MEDIA],
                "multimedia.txt",
                row_type="http://rs.gbif.org/terms/1.0/Multimedia",
            ),
        ),
    }
    return write_files(folder, files)


def build_archive(folder: Path, archive: Path, name: str) -> Path:
    """Build an atlas of records out of an archive; returns its bundle."""
    plan = folder / f"{name}.toml"
    plan.write_text(PLAN.format(bundle=name, path=archive), encoding="utf-8")
    build(read_plan(plan), Silent())
    return folder / name


@pytest.fixture(scope="module")
def frogs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of records with addresses of photos."""
    folder = tmp_path_factory.mktemp("frogs")
    return build_archive(folder, write_frogs(folder / "archive"), "frogs")


def stored(root: Path) -> list[dict[str, Any]]:
    """All rows of a bundle."""
    paths = sorted(root.glob("segments/*/rows.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def exported(root: Path, path: Path, form: Format, **asked: Any) -> Export:
    """Export everything that passes `limits`, by default every row."""
    limits = asked.pop("limits", EVERY)
    return export_bundle(root, path, form, Silent(), limits=limits, **asked)


# Made anew by every build: numbers, and ids that follow from the key and the addresses.
_OF_A_BUILD = {"row_id", "taxon_id", "image_id", "cell", "flags", "media_type", "media_sha256"}


def as_records(rows: list[dict[str, Any]]) -> list[str]:
    """What rows say of their records, in an order of their own."""
    return sorted(
        str([(name, value) for name, value in row.items() if name not in _OF_A_BUILD])
        for row in rows
    )


def test_an_archive_is_built_again_with_the_same_records(frogs: Path, tmp_path: Path) -> None:
    """Would break: a value, a photo or a credit is lost or changed on its way out and back in."""
    written = exported(frogs, tmp_path / "frogs.zip", "dwca")
    again = build_archive(tmp_path, tmp_path / "frogs.zip", "again")
    before, after = stored(frogs), stored(again)
    assert as_records(before) == as_records(after)
    assert len(before) == written.photos == 70
    assert (written.occurrences, written.media, written.without_address) == (40, 60, 10)
    kept = Flag.RECORDED_ABSENT | Flag.LOCATION_OBSCURED | Flag.MEDIA_LICENCE_UNKNOWN
    for flag in kept:
        counts = [sum(bool(row["flags"] & flag) for row in rows) for rows in (before, after)]
        assert counts[0] == counts[1] > 0, flag
    assert sorted(row["cell"] for row in before) == sorted(row["cell"] for row in after)


def test_photos_of_one_record_share_one_occurrence(frogs: Path, tmp_path: Path) -> None:
    """Would break: a record with three photos is told of as three records, or its photos stray."""
    exported(frogs, tmp_path / "frogs.zip", "dwca")
    core, media = (_table(tmp_path / "frogs.zip", name) for name in ("occurrence", "multimedia"))
    assert len({row["id"] for row in core}) == len(core) == 40
    of = {row["id"]: row["occurrenceID"] for row in core}
    for row in media:
        number = row["identifier"].rpartition("/")[2].partition("-")[0]
        assert of[row["coreid"]] == ("o-4" if number == "6" else f"o-{number}")
    # What the photos of a record disagree on is no property of the record.
    assert not any(
        row["rightsHolder"].startswith("Holder")
        for row in core
        if row["id"] in {row["coreid"] for row in media if row["identifier"].endswith("-2.jpg")}
    )


def _table(archive: Path, name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(archive) as zipped:
        content = zipped.read(f"{name}.csv").decode("utf-8")
    return list(csv.DictReader(io.StringIO(content)))


def test_an_archive_says_whom_to_cite_and_each_licence(frogs: Path, tmp_path: Path) -> None:
    """Would break: the data leave without their citation, or a photo under its record's licence."""
    exported(frogs, tmp_path / "frogs.zip", "dwca")
    with zipfile.ZipFile(tmp_path / "frogs.zip") as zipped:
        assert zipped.testzip() is None
        eml = ET.fromstring(zipped.read("eml.xml"))  # noqa: S314 - written here
        meta = ET.fromstring(zipped.read("meta.xml"))  # noqa: S314 - written here
    assert meta.get("metadata") == "eml.xml"
    citations = [found.text for found in eml.iter("citation")]
    assert citations[1:] == ["Somebody (2020). Frogs."]
    assert citations[0] is not None
    assert citations[0].startswith('Frogs, "quoted" & <marked> (')
    core, media = (_table(tmp_path / "frogs.zip", name) for name in ("occurrence", "multimedia"))
    assert {row["bibliographicCitation"] for row in core} == {"Somebody (2020). Frogs."}
    assert {row["license"] for row in core} == {
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "https://creativecommons.org/licenses/by/4.0/",
    }
    assert {row["license"] for row in media} == {
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "https://creativecommons.org/licenses/by-nc/4.0/",
        "",
    }
    assert sum(row["occurrenceStatus"] == "absent" for row in core) == 1
    assert sum(row["dataGeneralizations"].startswith("Location blurred") for row in core) == 1


EMBEDDINGS = """\
[atlas]
title = "Vectors"
[output]
bundle = "again"
[[sources]]
kind = "embeddings"
key = "again"
title = "Again"
path = "out.parquet"
space = "tiny"
as_of = 2026-01-01
[sources.columns]
media_url = "url"
observer = "recordedBy"
licence = "license"
media_licence = "mediaLicense"
rights_holder = "rightsHolder"
reference_url = "references"
decimal_latitude = "decimalLatitude"
decimal_longitude = "decimalLongitude"
coordinate_uncertainty_m = "coordinateUncertaintyInMeters"
event_date = "eventDate"
[[spaces]]
name = "tiny"
dim = 24
[quality]
land_taxa = []
[measure]
queries = 10
[workers]
count = 1
"""


def vectors_of(root: Path) -> dict[str, list[float]]:
    """Vectors of a bundle by image id."""
    bundle = Bundle.open(root)
    found = np.concatenate([segment.vectors("tiny") for segment in bundle.segments])
    ids = [row["image_id"] for row in stored(root)]
    return dict(zip(ids, found.astype(np.float32).tolist(), strict=True))


def test_parquet_is_built_again_with_the_same_vectors(tiny_bundle: Path, tmp_path: Path) -> None:
    """Would break: vectors come out in another order than their rows, or lose digits."""
    written = exported(tiny_bundle, tmp_path / "out.parquet", "parquet")
    (tmp_path / "plan.toml").write_text(EMBEDDINGS, encoding="utf-8")
    build(read_plan(tmp_path / "plan.toml"), Silent())
    before, after = vectors_of(tiny_bundle), vectors_of(tmp_path / "again")
    assert before.keys() == after.keys()
    assert len(before) == written.photos
    for image, vector in before.items():
        # Unit vectors of half precision may move by their last digit when they are scaled again.
        np.testing.assert_allclose(after[image], vector, rtol=0, atol=2**-11)
    table = pq.read_table(tmp_path / "out.parquet")
    for uuid, vector in zip(table["uuid"].to_pylist(), table["emb"].to_pylist(), strict=True):
        assert before[uuid] == vector
    kept = [
        {name: value for name, value in row.items() if name != "source_key"}
        for rows in (stored(tiny_bundle), stored(tmp_path / "again"))
        for row in rows
    ]
    assert as_records(kept[: len(before)]) == as_records(kept[len(before) :])


def test_parquet_has_the_columns_that_emb_explorer_reads(tiny_bundle: Path, tmp_path: Path) -> None:
    """Would break: the file is refused, its taxonomy stays unseen, or its vectors are no lists."""
    exported(tiny_bundle, tmp_path / "out.parquet", "parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.names[:10] == [
        "uuid", "emb", "kingdom", "phylum", "class", "order", "family", "genus", "species", "url",
    ]  # fmt: skip
    assert str(schema.field("uuid").type) == "string"
    assert str(schema.field("emb").type) == "list<element: float>"


def test_row_groups_are_written_as_rows_come(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a large export is put together in memory, or small batches lose rows."""
    whole = exported(tiny_bundle, tmp_path / "whole.parquet", "parquet")
    held = []

    def few(chosen: Any) -> Iterator[Batch]:
        for batch in batches(chosen, rows=5):
            held.append(len(batch.positions))
            yield batch

    monkeypatch.setattr(export_module, "batches", few)
    monkeypatch.setattr(tables, "_GROUP_BYTES", 20 * 4 * 24)
    exported(tiny_bundle, tmp_path / "few.parquet", "parquet")
    assert max(held) == 5
    with pq.ParquetFile(tmp_path / "few.parquet") as file:
        sizes = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    assert sum(sizes) == whole.photos
    assert max(sizes) == 20
    assert pq.read_table(tmp_path / "few.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))


def test_csv_is_read_back_as_it_was(frogs: Path, tmp_path: Path) -> None:
    """Would break: a comma, a quote or an accent breaks a line or is lost; unknown becomes text."""
    written = exported(frogs, tmp_path / "out.csv", "csv")
    content = (tmp_path / "out.csv").read_text(encoding="utf-8")
    read = {row["uuid"]: row for row in csv.DictReader(io.StringIO(content, newline=""))}
    rows = {row["image_id"]: row for row in stored(frogs)}
    assert read.keys() == rows.keys()
    assert len(read) == written.photos == sum(written.by_source.values())
    assert sum(written.by_licence.values()) == written.photos
    for uuid, row in rows.items():
        line = read[uuid]
        assert line["scientificName"] == row["scientific_name"]
        assert line["vernacularName"] == row["common_name"]
        assert line["recordedBy"] == row["observer"]
        assert [line["kingdom"], line["family"]] == [row["lineage"][0], row["lineage"][4]]
        assert float(line["decimalLatitude"]) == row["latitude"]
        uncertainty = line["coordinateUncertaintyInMeters"]
        assert (float(uncertainty) if uncertainty else None) == row["uncertainty_m"]
        days = [str(row[name]) for name in ("observed_from", "observed_to") if row[name]]
        assert line["eventDate"] == "/".join(dict.fromkeys(days))


FILTERS: tuple[tuple[dict[str, Any], str | None], ...] = (
    ({}, "Hylidae"),
    ({"flags": "all"}, "Hylidae"),
    ({"bbox": [-5.0, 40.0, -3.0, 43.0]}, None),
    ({"observed": {"from": "2020-01-01"}}, None),
    ({"licences": ["CC0-1.0"], "flags": "all"}, "Animalia"),
    ({"sources": ["frogs"], "max_uncertainty_m": 100}, None),
)


@pytest.mark.parametrize(("limits", "taxon"), FILTERS)
def test_an_export_holds_what_the_filter_lets_pass(
    frogs: Path, tmp_path: Path, limits: dict[str, Any], taxon: str | None
) -> None:
    """Would break: a file holds other rows than a search under the same filter would find."""
    with choose(frogs, limits, taxon=taxon) as chosen:
        at = np.concatenate([selection.positions() for selection in chosen.rows.selections])
    wanted = [stored(frogs)[row]["image_id"] for row in at]
    assert 0 < len(wanted) < 70
    written = exported(frogs, tmp_path / "out.csv", "csv", limits=limits, taxon=taxon)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert [row["uuid"] for row in csv.DictReader(file)] == wanted
    assert written.photos == len(wanted)
    if limits.get("flags") != "all":
        everything = exported(
            frogs, tmp_path / "all.csv", "csv", limits=limits | EVERY, taxon=taxon
        )
        assert everything.photos == written.photos + written.held_back


def test_removed_rows_are_in_no_export(tmp_path: Path) -> None:
    """Would break: what was taken down comes out again, since its bytes are still there."""
    bundle = build_archive(tmp_path, write_frogs(tmp_path / "archive"), "frogs")
    remove(
        bundle,
        occurrence_ids=["o-7"],
        licences=(),
        ignore_missing=False,
        dry_run=False,
        watcher=Silent(),
    )
    for form in ("csv", "dwca", "parquet"):
        written = exported(bundle, tmp_path / f"out.{form}", form)  # type: ignore[arg-type]
        assert written.photos == written.living == 67
    assert "o-7" not in (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert "o-7" not in {row["occurrenceID"] for row in _table(tmp_path / "out.dwca", "occurrence")}


def test_an_export_that_fails_leaves_the_old_file(
    frogs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: half a file looks like an export, or rows are missing and nobody is told."""
    output = tmp_path / "out.csv"
    output.write_text("older")

    def fewer(chosen: Any) -> Iterator[Batch]:
        yield from list(batches(chosen, rows=30))[:-1]

    monkeypatch.setattr(export_module, "batches", fewer)
    with pytest.raises(BuildError, match="70 photos pass the filter, 60 were written"):
        exported(frogs, output, "csv")
    assert output.read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_what_cannot_be_exported_is_refused_in_words(
    frogs: Path, twin_bundle: Path, tmp_path: Path
) -> None:
    """Would break: a wrong question gives an empty file, or writes into the bundle."""
    output = tmp_path / "out"
    with pytest.raises(InvalidQuery, match="inside the bundle"):
        exported(frogs, frogs / "out.csv", "csv")
    with pytest.raises(InvalidQuery, match="no taxon is named 'Hilidae'"):
        exported(frogs, output, "csv", taxon="Hilidae")
    with pytest.raises(InvalidQuery, match="has no source 'toads'"):
        exported(frogs, output, "csv", limits={"sources": ["toads"]})
    with pytest.raises(InvalidQuery, match="unknown field `planet`"):
        exported(frogs, output, "csv", limits={"planet": "Mars"})
    with pytest.raises(InvalidQuery, match="has several, name one: tiny, wide"):
        exported(twin_bundle, output, "parquet")
    with pytest.raises(NotFound):
        exported(twin_bundle, output, "parquet", space="none")
    assert not output.exists()
    exported(twin_bundle, output, "parquet", space="wide")
    assert len(pq.read_table(output)["emb"][0]) == 32


def test_the_command_prints_what_was_written(frogs: Path, tmp_path: Path) -> None:
    """Would break: a person does not learn how many rows were left out, or an error is a trace."""
    output = tmp_path / "out.zip"
    asked = ["export", str(frogs), "--format", "dwca", "-o", str(output), "--quiet"]
    ran = CliRunner().invoke(indexer, [*asked, "--bbox=-5,40,-3,43", "--from", "2020-01-01"])
    assert ran.exit_code == 0, ran.output
    core = _table(output, "occurrence")
    assert f"{len(core)} occurrences" in ran.output
    assert "of 70 photos pass the filter and were written" in ran.output
    ran = CliRunner().invoke(indexer, [*asked, "--json", "--filter", '{"months": [2]}'])
    assert f'"occurrences": {len(_table(output, "occurrence"))}' in ran.output
    ran = CliRunner().invoke(indexer, [*asked, "--filter", "frogs"])
    assert ran.exit_code == 1
    assert ran.output.startswith("indexer: filter: is not a JSON object")
