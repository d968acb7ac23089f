"""The systems that the search benchmark compares; each module is one, imported when it is asked.

A system whose package is not installed is reported as missing, never skipped in silence.
"""

from __future__ import annotations

from importlib import import_module

from benchmarks.systems.system import System

SYSTEMS = {
    "atlas": "benchmarks.systems.atlas:AtlasSystem",
    "faiss-overfetch": "benchmarks.systems.faiss_overfetch:FaissOverfetch",
    "faiss-selector": "benchmarks.systems.faiss_selector:FaissSelector",
    "lancedb": "benchmarks.systems.lance:LanceSystem",
    "usearch": "benchmarks.systems.usearch_hnsw:UsearchSystem",
    "duckdb": "benchmarks.systems.duckdb_exact:DuckdbSystem",
    "pgvector": "benchmarks.systems.pgvector:PgvectorSystem",
}


class MissingSystem(Exception):
    """A system cannot be run here; `needs` is what is not installed."""

    def __init__(self, system: str, needs: str) -> None:
        super().__init__(f"{system} needs {needs}, which is not installed")
        self.system = system
        self.needs = needs


def make_system(name: str) -> System:
    """A system by name, not prepared yet. Raises MissingSystem."""
    module, _, kind = SYSTEMS[name].partition(":")
    try:
        made: System = getattr(import_module(module), kind)()
    except ModuleNotFoundError as error:
        raise MissingSystem(name, error.name or str(error)) from error
    return made
