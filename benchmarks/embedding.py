"""How fast photos become vectors, which part is the slowest, and how much of the device is used.

    python -m benchmarks.embedding [--model NAME]... [--pictures N] [--processes N] [--json FILE]

Makes photos and models with random weights up, and measures the model alone, decoding alone, and
the embed stage of a build from JPEG to finished files. The rounds take turns, since a machine's
speed changes. Decoding processes import this module, so it loads torch late.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import click
import msgspec
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from atlas.search.frame import Frame
from benchmarks.photos import write_photos
from indexer.embedding.decoders import CHUNK_ROWS, Decoders, Workers, workers_for
from indexer.embedding.lane import PictureJob
from indexer.embedding.part import PartFile
from indexer.embedding.prepare import Prepared, Preparer, Row
from indexer.embedding.times import Times
from indexer.plan_sections import FolderSection, MediaSection
from indexer.sources.folder import FolderSource
from indexer.stages.embed import PictureWork, embed_pictures
from indexer.stages.read import read_part

if TYPE_CHECKING:
    from atlas.search.encoder import OpenClipEncoder

_PART_ROWS = 20_000
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
_CPU_MODEL, _GPU_MODEL = "ViT-B-32", "ViT-L-14"


class Setting(NamedTuple):
    """What is measured."""

    models: tuple[str, ...]
    pictures: int
    side_px: int
    distinct: int
    processes: int | None
    threads: int
    batch_size: int
    device: str
    dtype: Dtype
    compiled: bool | None
    rounds: int
    seed: int


class _Photos(NamedTuple):
    """The photos as a source, read into a folder."""

    source: FolderSource
    read: Path
    parts: list[str]
    mean_bytes: int


def measure(setting: Setting, folder: Path) -> dict[str, Any]:
    """Make photos in an empty folder, and take them through decoding, models and the stage."""
    from benchmarks import image_models  # noqa: PLC0415 - torch, see above

    encoders = _encoders(setting)
    first = next(iter(encoders.values()))
    photos = _photos(setting, folder)
    on_gpu = first.device.type != "cpu"
    workers = workers_for(
        "auto" if setting.processes is None else setting.processes,
        setting.threads,
        devices=1,
        on_gpu=on_gpu,
    )
    flop = [image_models.flop_per_picture(model) for model in encoders]
    rounds = []
    for number in range(setting.rounds):
        models = [
            image_models.model_rate(encoder, setting.pictures) for encoder in encoders.values()
        ]
        streams = [
            image_models.stream_rate(encoder, setting.pictures) for encoder in encoders.values()
        ]
        frames = {space: encoder.frame for space, encoder in encoders.items()}
        decode = decode_rate(photos.source, frames, setting.pictures, workers)
        times = Times()
        whole = pipeline_rate(photos, encoders, workers, folder / f"out-{number}", times)
        model = 1 / sum(1 / rate for rate in models)
        peak = image_models.matrix_peak(first.device, first.dtype)
        rounds.append(
            {
                "model_images_per_s": model,
                "bare_loop_images_per_s": 1 / sum(1 / rate for rate in streams),
                "decode_images_per_s": decode,
                "pipeline_images_per_s": whole,
                "matrix_peak_tflop_per_s": peak / 1e12,
                "model_share_of_peak": model * sum(flop) / peak,
                "pipeline_share_of_peak": whole * sum(flop) / peak,
                "pipeline_over_bare_loop": whole * sum(1 / rate for rate in streams),
                "pipeline_over_slower": whole / min(model, decode),
                **{f"time_{name}": value for name, value in dataclasses.asdict(times).items()},
            }
        )
    return {
        "benchmark": "embedding",
        **setting._asdict(),
        "models": list(encoders),
        "device": str(first.device),
        "dtype": str(first.dtype).removeprefix("torch."),
        "batch_size": first.batch_size,
        "compiled": first.compiled,
        "device_name": image_models.name_of(first.device),
        "processes": workers.processes,
        "mean_file_bytes": photos.mean_bytes,
        "gflop_per_picture": round(sum(flop) / 1e9, 1),
        "load": round(os.getloadavg()[0], 1),
        "processors": len(os.sched_getaffinity(0)),
        **{name: statistics.median(one[name] for one in rounds) for name in rounds[0]},
        "all_rounds": rounds,
    }


def decode_rate(
    source: FolderSource, frames: dict[str, Frame], pictures: int, workers: Workers
) -> float:
    """Pictures a second that the workers make ready for the models, with no model running.

    Starting the workers does not count.
    """
    preparer = Preparer({source.settings.key: source}, frames, MediaSection())
    slots = 2 * workers.chunks
    with Decoders(preparer, workers, slots) as decoders:

        def submit(first: int) -> Future[Prepared]:
            numbers = range(first, min(first + CHUNK_ROWS, pictures))
            rows = [Row(number, "", f"{number:07}.jpg", None, 0) for number in numbers]
            slot = first // CHUNK_ROWS % slots
            return decoders.submit(slot, source.settings.key, "part", rows)

        for future in [submit(0) for _ in range(slots)]:
            future.result()
        started_s = time.perf_counter()
        waiting: list[Future[Prepared]] = []
        for first in range(0, pictures, CHUNK_ROWS):
            if len(waiting) == slots:
                waiting.pop(0).result()
            waiting.append(submit(first))
        for future in waiting:
            future.result()
        return pictures / (time.perf_counter() - started_s)


def pipeline_rate(
    photos: _Photos,
    encoders: dict[str, OpenClipEncoder],
    workers: Workers,
    folder: Path,
    times: Times,
) -> float:
    """Pictures a second through the embed stage, from JPEG to finished files, start included.

    Raises SystemExit where a picture was lost.
    """
    key = photos.source.settings.key
    jobs = [
        PictureJob(PartFile(folder, part, "benchmark"), photos.read, key) for part in photos.parts
    ]
    work = PictureWork({key: photos.source}, [encoders], MediaSection(), workers)
    dealt: list[int] = []
    started_s = time.perf_counter()
    reports = list(embed_pictures(work, iter(jobs), dealt.append, times))
    took_s = time.perf_counter() - started_s
    rows = sum(report.rows_out for report in reports)
    if rows != sum(dealt):
        raise SystemExit(f"{rows} of {sum(dealt)} pictures came out")
    return rows / took_s


def _encoders(setting: Setting) -> dict[str, OpenClipEncoder]:
    """The models by name, as spaces are."""
    from atlas.search.devices import device_of  # noqa: PLC0415 - torch, see above
    from atlas.search.encoder import EncoderChoice  # noqa: PLC0415
    from benchmarks.image_models import random_encoder  # noqa: PLC0415

    on_gpu = device_of("benchmark", setting.device).type == "cuda"
    models = setting.models or ((_GPU_MODEL,) if on_gpu else (_CPU_MODEL,))
    encoders = {}
    for model in models:
        choice = EncoderChoice(
            spec=model,
            device=setting.device,
            dtype=setting.dtype,
            batch_size=setting.batch_size or (256 if on_gpu else 32),
            compile="auto" if setting.compiled is None else setting.compiled,
        )
        encoders[model] = random_encoder(choice, setting.seed)
    return encoders


def _photos(setting: Setting, folder: Path) -> _Photos:
    table, mean_bytes = write_photos(
        folder / "source",
        setting.pictures,
        seed=setting.seed,
        long_side_px=setting.side_px,
        distinct=min(setting.distinct, setting.pictures),
    )
    section = FolderSection(
        key="photos", title="Made-up photos", path=table.parent / "photos", records=table
    )
    source = FolderSource(
        section,
        ranks=("species",),
        resolution=7,
        part_rows=_PART_ROWS,
        max_file_bytes=MediaSection().max_file_bytes,
    )
    parts = source.parts()
    for part in parts:
        read_part(source, part, identity="benchmark", folder=folder / "read", curate=_as_read)
    return _Photos(source, folder / "read", [part.name for part in parts], mean_bytes)


def _as_read(records: pa.Table) -> pa.Table:
    return records


_LINES = (
    ("model alone, pixels on the device", "model_images_per_s", "images/s"),
    ("bare model loop, pixels in memory", "bare_loop_images_per_s", "images/s"),
    ("decoding alone", "decode_images_per_s", "images/s"),
    ("whole pipeline, JPEG to files", "pipeline_images_per_s", "images/s"),
    ("pipeline / bare model loop", "pipeline_over_bare_loop", ""),
    ("pipeline / slower of model and decoding", "pipeline_over_slower", ""),
    ("matrix peak of the device", "matrix_peak_tflop_per_s", "TFLOP/s"),
    ("model's share of that peak", "model_share_of_peak", ""),
    ("pipeline's share of that peak", "pipeline_share_of_peak", ""),
)


def show(record: dict[str, Any]) -> None:
    """Print the rates, and where the time went."""
    console = Console(highlight=False)
    console.print(
        f"{', '.join(record['models'])}, {record['gflop_per_picture']} GFLOP a picture, on "
        f"{record['device_name']}, {record['dtype']}, batches of {record['batch_size']}"
        f"{', compiled' if record['compiled'] else ''}; {record['pictures']} photos of "
        f"{record['side_px']} px ({record['mean_file_bytes'] >> 10} KB), {record['processes']} "
        f"decoding processes, {record['threads']} threads; median of {record['rounds']} rounds"
    )
    table = Table("what", "median", "unit")
    for title, name, unit in _LINES:
        table.add_row(title, f"{record[name]:.3g}", unit)
    console.print(table)
    spent = Table("time of the pipeline", "s", title_justify="left")
    for field in dataclasses.fields(Times):
        spent.add_row(field.name.removesuffix("_s"), f"{record[f'time_{field.name}']:.2f}")
    console.print(spent)
    console.print("read, decode, frame: summed over workers; transfer, model: the device's own.")


@click.command()
@click.option("--model", "models", multiple=True, help="OpenCLIP geometry; several: one pass.")
@click.option("--pictures", default=256, show_default=True, type=click.IntRange(1))
@click.option("--side", "side_px", default=500, show_default=True, type=click.IntRange(16))
@click.option("--distinct", default=200, show_default=True, type=click.IntRange(1))
@click.option("--processes", type=click.IntRange(0), help="Decoding processes; a build's default.")
@click.option("--threads", default=4, show_default=True, type=click.IntRange(1))
@click.option("--batch", "batch_size", default=0, help="Default: 256 on a GPU, else 32.")
@click.option("--device", default="auto", show_default=True)
@click.option("--dtype", default="auto", show_default=True, type=click.Choice(get_args(Dtype)))
@click.option("--compile/--no-compile", "compiled", default=None, help="A build's default.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Append the record here.")
def main(target: Path | None, **options: Any) -> None:  # noqa: ANN401 - click checked them
    """Measure embedding on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        record = measure(Setting(**options), Path(folder))
    show(record)
    if target is not None:
        with target.open("ab") as file:
            file.write(msgspec.json.encode(record) + b"\n")


if __name__ == "__main__":
    main()
