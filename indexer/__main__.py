"""The command `indexer`: build, verify and measure bundles."""

from __future__ import annotations

from indexer.commands import indexer


def main() -> None:
    """Run the command line."""
    indexer()


if __name__ == "__main__":
    main()
