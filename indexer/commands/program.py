"""The program `indexer` and what its commands share: arguments, and errors as one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from atlas.errors import AtlasError, PlanError

BUNDLE = click.argument(
    "bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="BUNDLE"
)
PLAN = click.argument(
    "plan", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="PLAN.toml"
)
QUIET = click.option("--quiet", is_flag=True, help="No progress, only the result.")


def reporting(command: Callable[..., None]) -> Callable[..., None]:
    """Print an atlas error as one line and exit: 2 for a plan at fault, 1 for anything else."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - whatever click passes
        try:
            command(*arguments, **options)
        except AtlasError as error:
            click.echo(f"indexer: {error}", err=True)
            sys.exit(2 if isinstance(error, PlanError) else 1)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="biodiversity-atlas")
def indexer() -> None:
    """Build and check bundles: photos and Darwin Core records in, a searchable atlas out."""
