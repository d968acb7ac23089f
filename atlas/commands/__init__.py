"""The command line of the server: serving, searching, mapping.

Asks through the same use cases as the HTTP application. What is wrong is one line on standard
error and exit code 2.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import msgspec

from atlas.errors import AtlasError
from atlas.settings import Settings, load_settings, override

P = ParamSpec("P")
T = TypeVar("T")

BUNDLE = click.option(
    "--bundle", "bundle", type=click.Path(path_type=Path), help="Folder of the bundle."
)
CONFIG = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path),
    help="Settings file (TOML); see docs/tuning.md.",
)


def _one_line_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Print a foreseen error as one line and leave with exit code 2."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except AtlasError as error:
            click.echo(f"atlas: {' '.join(str(error).split())}", err=True)
            sys.exit(2)

    return run


def _settings(config: Path | None, bundle: Path | None) -> Settings:
    settings = load_settings(config, os.environ)
    if bundle is not None:
        settings = override(settings, "bundle", path=str(bundle))
    if not settings.bundle.path:
        raise click.UsageError("no bundle: give --bundle or set bundle.path")
    return settings


def _map_options(command: Callable[P, T]) -> Callable[P, T]:
    """What every command that reads maps may be asked with."""
    options: list[Callable[[Any], Any]] = [
        click.argument("taxon"),
        BUNDLE,
        CONFIG,
        click.option("--from", "first", help="Not before this day."),
        click.option("--to", "last", help="Not after this day."),
        click.option("--months", help="Only in these months, for example 5,6,7."),
        click.option("--source", multiple=True, help="Only of this source; may be repeated."),
        click.option(
            "--max-uncertainty-m", type=float, help="Only records certain to so many metres."
        ),
    ]
    optioned: Callable[P, T] = command
    for option in reversed(options):
        optioned = option(optioned)
    return optioned


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="biodiversity-atlas", prog_name="atlas")
def main() -> None:
    """Serve and search an atlas of organisms: by words, by picture, by place."""


@main.command()
@BUNDLE
@CONFIG
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.  [default: 8000]")
@_one_line_errors
def serve(bundle: Path | None, config: Path | None, host: str | None, port: int | None) -> None:
    """Serve a bundle over HTTP until interrupted."""
    settings = override(_settings(config, bundle), "server", host=host, port=port)
    # Imported where they are used: torch and FAISS take seconds that --help should not.
    from atlas.commands.serving import run_server  # noqa: PLC0415 - slow

    run_server(settings)


@main.command()
@click.argument("text", required=False)
@BUNDLE
@CONFIG
@click.option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Search by this photo instead of words.",
)
@click.option("--taxon", help="Only this taxon and what is below it: a name or a taxon id.")
@click.option("--bbox", help="Only inside west,south,east,north.")
@click.option("--from", "first", help="Not before this day.")
@click.option("--to", "last", help="Not after this day.")
@click.option("--months", help="Only in these months, for example 5,6,7.")
@click.option("--space", help="Search in this vector space alone.  [default: all that can]")
@click.option(
    "--diversify",
    type=click.Choice(["none", "species", "place"]),
    default="none",
    show_default=True,
    help="Show at most one photo of each.",
)
@click.option("--collapse", is_flag=True, help="Let one photo stand for its near-duplicates.")
@click.option(
    "--place",
    type=click.Choice(["hard", "soft", "off"]),
    default="hard",
    show_default=True,
    help="What places in TEXT do: limit the search, prefer what is there, or nothing.",
)
@click.option(
    "--without",
    multiple=True,
    help="Do not read this of TEXT: a kind of span, or kind:start; may be repeated.",
)
@click.option("--as-typed", is_flag=True, help="Give TEXT to the encoder as it is typed.")
@click.option("--limit", type=click.IntRange(1, 200), default=10, show_default=True)
@click.option("--exact", is_flag=True, help="Score every passing row.")
@click.option("--recall", type=click.FloatRange(0, 1, min_open=True), help="Recall@10 to aim at.")
@click.option("--explain", is_flag=True, help="Say how each segment was searched, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer as JSON.")
@_one_line_errors
def search(
    bundle: Path | None,
    config: Path | None,
    **asked: Any,  # noqa: ANN401 - the options above, each of its own type
) -> None:
    """Search a bundle by TEXT or by --image and print what is found."""
    if (asked["text"] is None) == (asked["image"] is None):
        raise click.UsageError("give either TEXT or --image")
    settings = _settings(config, bundle)
    from atlas.commands.asking import print_answer, print_plan, search_once  # noqa: PLC0415 - slow

    photo = asked["image"].read_bytes() if asked["image"] else None
    answer, description = asyncio.run(search_once(settings, asked, photo))
    print_answer(answer, description, as_json=asked["as_json"])
    if asked["explain"] and not asked["as_json"]:
        print_plan(answer)


@main.command("map")
@_map_options
@click.option("--bbox", help="Show west,south,east,north.  [default: the range with a margin]")
@click.option("--width", type=click.IntRange(200, 4000), default=1200, show_default=True)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="PNG file to write.",
)
@_one_line_errors
def draw_map(
    bundle: Path | None,
    config: Path | None,
    **asked: Any,  # noqa: ANN401 - the options above, each of its own type
) -> None:
    """Draw where TAXON (a name or a taxon id) was recorded, and where it was looked for."""
    settings = _settings(config, bundle)
    from atlas.commands.mapping import write_map  # noqa: PLC0415 - slow

    write_map(settings, asked)


@main.command()
@_map_options
@click.option("--bbox", help="Only cells that touch west,south,east,north.")
@click.option("--resolution", type=click.IntRange(0, 15), default=4, show_default=True)
@click.option("--searched", is_flag=True, help="List cells searched without a record, too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "geojson", "parquet", "json"]),
    help="[default: that of the file's extension, else csv]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; else standard out.",
)
@_one_line_errors
def distribution(
    bundle: Path | None,
    config: Path | None,
    **asked: Any,  # noqa: ANN401 - the options above, each of its own type
) -> None:
    """Write the cells in which TAXON (a name or a taxon id) was recorded, beside the effort."""
    settings = _settings(config, bundle)
    from atlas.commands.mapping import form_of, write_distribution  # noqa: PLC0415 - slow

    asked["form"] = form_of(asked["form"], asked["output"])
    content = write_distribution(settings, asked)
    if asked["output"] is None:
        sys.stdout.buffer.write(content)
    else:
        asked["output"].write_bytes(content)


@main.command("range")
@_map_options
@click.option("--resolution", type=click.IntRange(0, 15), default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer as JSON.")
@_one_line_errors
def print_range_of(
    bundle: Path | None,
    config: Path | None,
    **asked: Any,  # noqa: ANN401 - the options above, each of its own type
) -> None:
    """Print how large the range of TAXON (a name or a taxon id) is, and its seasons."""
    settings = _settings(config, bundle)
    from atlas.commands.mapping import print_range, range_of  # noqa: PLC0415 - slow

    found = range_of(settings, asked)
    if asked["as_json"]:
        click.echo(msgspec.json.encode(found))
    else:
        print_range(found)


@main.command()
@click.argument("taxon", required=False)
@BUNDLE
@CONFIG
@click.option("--text", help="Gaps for the taxa of the photos that these words find.")
@click.option("--bbox", help="Only inside west,south,east,north.")
@click.option(
    "--polygon",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only inside the GeoJSON polygon of this file.",
)
@click.option("--resolution", type=click.IntRange(0, 15), default=4, show_default=True)
@click.option(
    "--state", multiple=True, help="Only cells in this state, such as no_data; may be repeated."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write .csv, .geojson, .json or .png instead of printing a table.",
)
@click.option("--width", type=click.IntRange(200, 4000), default=1000, help="Pixels of a picture.")
@_one_line_errors
def gaps(
    bundle: Path | None,
    config: Path | None,
    **asked: Any,  # noqa: ANN401 - the options above, each of its own type
) -> None:
    """Rank the cells where a visit would add most new species of TAXON (a name or a taxon id)."""
    settings = _settings(config, bundle)
    from atlas.commands.gap_table import (  # noqa: PLC0415 - slow
        check_output,
        gaps_once,
        print_gaps,
        write_gaps,
    )

    check_output(asked["output"])
    found = gaps_once(settings, asked)
    if asked["output"] is None:
        print_gaps(found.answer)
    else:
        write_gaps(found, asked["output"], asked["width"])


@main.command()
@click.option("--output", type=click.Path(path_type=Path), help="File to write; else standard out.")
def openapi(output: Path | None) -> None:
    """Write the OpenAPI document of the HTTP API."""
    from atlas.app import openapi_document  # noqa: PLC0415 - slow

    content = openapi_document()
    if output is None:
        click.echo(content.decode(), nl=False)
    else:
        output.write_bytes(content)
