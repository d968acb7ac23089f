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
    "lancedb-20": "benchmarks.systems.lance:Lance20",
    "lancedb-100": "benchmarks.systems.lance:Lance100",
    "lancedb-300": "benchmarks.systems.lance:Lance300",
    "lancedb-all": "benchmarks.systems.lance:LanceAll",
    "lancedb-full": "benchmarks.systems.lance:LanceFull",
    "usearch": "benchmarks.systems.usearch_hnsw:UsearchSystem",
    "duckdb": "benchmarks.systems.duckdb_exact:DuckdbSystem",
    "pgvector": "benchmarks.systems.pgvector:PgvectorSystem",
}

# Systems that ask what another one built, in another way.
BUILT_AS = {name: "lancedb" for name in SYSTEMS if name.startswith("lancedb-")}


def built_as(name: str) -> str:
    """The system whose folder and table a system reads: its own, but for variants."""
    return BUILT_AS.get(name, name)


def variants_of(name: str) -> list[str]:
    """A system and all that ask the same table in another way."""
    return [known for known in SYSTEMS if built_as(known) == name]


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
