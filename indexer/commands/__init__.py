"""What `indexer` does on the command line. Exit codes: 0 done, 1 stopped or damaged, 2 bad usage.

The heavy libraries are imported by the command that needs them, so that `--help` is quick.
"""

from indexer.commands import (
    building,
    changing,
    checking,
    exporting,
    inspecting,
    layering,
    reporting,
)
from indexer.commands.program import indexer

# Importing the modules adds their commands to the program.
__all__ = [
    "building",
    "changing",
    "checking",
    "exporting",
    "indexer",
    "inspecting",
    "layering",
    "reporting",
]
