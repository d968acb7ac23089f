"""Disks that are full and files that are damaged: the same bundle in the end, or a clear stop."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from atlas.bundle.bundle import Bundle
from atlas.errors import BuildError, PlanError
from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Silent
from indexer.sources.folder import FolderSource
from tests.e2e.disturbed import Room, disturbed
from tests.e2e.test_kill_and_resume import content, plan_of_everything
from tests.factories import make_photos, write_plan
from tests.unit.indexer.ready import built, live, write_ready_plan, write_vectors

# By stage, in their order, one of the files that it writes.
LARGEST = {
    "read": "bundle.work/read/ready-000000.tiny.f16",
    "embed": "bundle.work/embed/tiny-000000.parquet",
    "segments": "bundle/segments/0001/rows.parquet",
    "train": "bundle/spaces/tiny/coarse.faiss",
    "encode": "bundle/segments/0001/tiny.ivf",
    "catalog": "bundle/catalog-000001.duckdb",
    "measure": "bundle/spaces/tiny/curve.json",
    "publish": "bundle/manifest-000001.json",
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The plan of a build that nothing disturbed; its bundle and work folder lie beside it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    make_photos(folder / "photos", records=30)
    plan = plan_of_everything(
        folder / "plan.toml", photos=folder / "photos", model=tiny_model, bundle=folder / "bundle"
    )
    assert disturbed(plan).status == "done"
    return plan


def another(undisturbed: Path, folder: Path) -> Path:
    """The same plan for a bundle in `folder`."""
    text = undisturbed.read_text(encoding="utf-8")
    mine = f'bundle = "{undisturbed.parent / "bundle"}"'
    assert mine in text
    # Beside the other: a plan is the same where its paths are, seen from its folder.
    plan = undisturbed.with_name(f"{folder.name}.toml")
    plan.write_text(text.replace(mine, f'bundle = "{folder / "bundle"}"'), encoding="utf-8")
    return plan


@pytest.mark.slow
def test_a_full_disk_stops_a_build_and_spoils_nothing(undisturbed: Path, tmp_path: Path) -> None:
    """Would break: half a file is taken for a whole one, or nobody is told which file did not fit.

    Files may only be so large from a stage on, which fails writes as a full disk does and needs no
    rights. Of a stage's largest file it may be the last byte that does not fit.
    """
    plan = another(undisturbed, tmp_path)
    for stage, largest in LARGEST.items():
        size_bytes = (undisturbed.parent / largest).stat().st_size
        for file_bytes in (10, size_bytes // 2, size_bytes - 1):
            ended = disturbed(plan, room=Room(stage, file_bytes))
            assert ended.status == "stopped", (stage, file_bytes)
            assert ended.stage == stage, (ended, file_bytes)
            assert str(tmp_path / "bundle") in ended.message, ended.message
            assert live(tmp_path) is None
    assert disturbed(plan).status == "done"
    assert content(tmp_path / "bundle") == content(undisturbed.parent / "bundle")


def flip(path: Path, share: float = 0.5) -> None:
    """Change sixteen bytes of a file, whose size and time of writing stay."""
    state = path.stat()
    data = bytearray(path.read_bytes())
    at = int(len(data) * share)
    data[at : at + 16] = bytes(255 - byte for byte in data[at : at + 16])
    path.write_bytes(data)

    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.slow
def test_damage_in_the_work_folder_is_found(undisturbed: Path, tmp_path: Path) -> None:
    """Would break: bytes that a disk lost between two runs end up in a bundle that verifies."""
    root = tmp_path / "bundle"
    plan = another(undisturbed, tmp_path)
    assert disturbed(plan).status == "done"
    work = tmp_path / "bundle.work"
    damaged = [
        path
        for stage in ("read", "embed")
        for path in sorted((work / stage).iterdir())
        if path.suffix in {".parquet", ".f16"} and path.stat().st_size
    ]
    assert len(damaged) > 10
    for path in damaged[:: len(damaged) // 5]:
        shutil.rmtree(root)
        flip(path)
        ended = disturbed(plan)
        if ended.status == "stopped":
            assert path.suffix == ".f16"
            assert f"{path.name} is not as it was written" in ended.message
            ended = disturbed(plan)
        assert ended.status == "done", ended.message
        assert content(root) == content(undisturbed.parent / "bundle"), path.name


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip"])
def test_a_damaged_page_of_the_input_stops_a_build(tmp_path: Path, compression: str) -> None:
    """Would break: rows behind the damage are lost, or are read as something else."""
    vectors = tmp_path / "garden.parquet"
    write_vectors(vectors, 400, seed=1)
    table = pq.read_table(vectors)
    pq.write_table(table, vectors, compression=compression, write_page_checksum=True)
    plan = write_ready_plan(tmp_path, "garden")
    flip(vectors, 0.3)
    with pytest.raises(PlanError) as caught:
        built(plan)
    assert caught.value.path == vectors
    assert live(tmp_path) is None


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_a_parquet_file_that_is_cut_short_stops_a_build(tmp_path: Path, share: float) -> None:
    """Would break: a download that broke off is taken for all of a data set."""
    vectors = tmp_path / "garden.parquet"
    write_vectors(vectors, 400, seed=1)
    data = vectors.read_bytes()
    vectors.write_bytes(data[: int(len(data) * share)])
    plan = write_ready_plan(tmp_path, "garden")
    with pytest.raises(PlanError) as caught:
        built(plan)
    assert caught.value.path == vectors


RECORDS = (
    "occurrenceID,scientificName,decimalLatitude,decimalLongitude,eventDate\n"
    + "".join(f"r{n},Hyla arborea,{46 + n / 9_000},7.5,2024-05-01\n" for n in range(6_000))
).encode()


def records_plan(folder: Path, file: Path) -> Path:
    """A plan of records without pictures."""
    plan = folder / "plan.toml"
    plan.write_text(
        '[atlas]\ntitle = "Records"\n[output]\nbundle = "bundle"\n[workers]\ncount = 1\n'
        '[[sources]]\nkind = "records"\nkey = "records"\ntitle = "Records"\n'
        f'path = "{file.name}"\n'
    )
    return plan


@pytest.mark.parametrize("fault", ["cut", "flipped"])
def test_a_damaged_zip_stops_a_build(tmp_path: Path, fault: str) -> None:
    """Would break: the first half of a table inside a broken zip becomes an atlas."""
    import zipfile

    path = tmp_path / "records.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("records.csv", RECORDS)
    if fault == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        flip(path)
    with pytest.raises((PlanError, BuildError), match=r"records\.zip"):
        build(read_plan(records_plan(tmp_path, path)), Silent())
    assert live(tmp_path) is None


def test_a_gzip_that_is_cut_short_stops_a_build(tmp_path: Path) -> None:
    """Would break: the photos of a broken download are all there are."""
    tables = {
        "observations": "observation_uuid\tobserver_id\tlatitude\tlongitude\tpositional_accuracy"
        "\ttaxon_id\tquality_grade\tobserved_on\n",
        "photos": "photo_uuid\tphoto_id\tobservation_uuid\tobserver_id\textension\tlicense\twidth"
        "\theight\tposition\n",
        "taxa": "taxon_id\tancestry\trank_level\trank\tname\tactive\n",
        "observers": "observer_id\tlogin\tname\n",
    }
    tables["observations"] += "".join(
        f"o{n}\t1\t46.{n:05d}\t7.5\t10\t5\tresearch\t2024-05-01\n" for n in range(5_000)
    )
    tables["photos"] += "".join(f"u{n}\t{n}\to{n}\t1\tjpg\tCC0\t10\t10\t0\n" for n in range(5_000))
    tables["taxa"] += "5\t\t10\tspecies\tHyla arborea\ttrue\n"
    tables["observers"] += "1\tann\tAnn\n"
    for name, text in tables.items():
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    cut = tmp_path / "photos.csv.gz"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[atlas]\ntitle = "Photos"\n[output]\nbundle = "out/bundle"\n[workers]\ncount = 1\n'
        '[[sources]]\nkind = "inat_open_data"\nkey = "inat"\ntitle = "Photos"\npath = "."\n'
    )
    with pytest.raises((PlanError, BuildError), match=r"photos\.csv\.gz"):
        build(read_plan(plan), Silent())
    assert live(tmp_path / "out") is None


def test_a_source_that_hangs_stops_a_build(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a build waits for ever for a disk that has gone, and says nothing."""
    make_photos(tmp_path / "photos", records=12)
    plan = write_plan(
        tmp_path / "plan.toml",
        photos=tmp_path / "photos",
        model=tiny_model,
        bundle=tmp_path / "bundle",
        rejects="max_share = 0.5",
        workers="count = 1\nstall_s = 2.0",
    )
    there_again, read = threading.Event(), FolderSource.picture

    def hanging(source: FolderSource, media_ref: str) -> bytes:
        if media_ref == "photos/0003.png":
            there_again.wait(120)
        return read(source, media_ref)

    monkeypatch.setattr(FolderSource, "picture", hanging)
    with pytest.raises(BuildError, match=r"photos/0003\.png .*gave nothing for 2 s"):
        build(read_plan(plan), Silent())
    assert live(tmp_path) is None
    there_again.set()
    (source,) = build(read_plan(plan), Silent()).manifest.sources
    assert source.rows_out == source.rows_in - sum(source.rejects.values())
    assert Bundle.open(tmp_path / "bundle", "full").manifest.rows == source.rows_out
