"""The sections of a build plan, as frozen structs: every setting with its meaning and its bounds.

Knows nothing of files or of TOML: `indexer.plan` reads them. Immutable, safe from any thread.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from atlas.bundle.manifest import PromptTemplates
from atlas.search.alike import LEAST_COSINE, NEAR_ROWS
from indexer.curation_sections import ExcludeSection, QualitySection, SensitiveSection
from indexer.section import Count, Section, Share, Text, check_key
from indexer.source_sections import (
    DwcaSection,
    EmbeddingsSection,
    FolderSection,
    HostSection,
    InatOpenDataSection,
    RecordsSection,
    SourceSection,
    SourceSettings,
    TextTableSection,
    TreeOfLifeSection,
    UrlsSection,
)

# Sections that stand in files of their own belong here as much as those below.
__all__ = [
    "DwcaSection",
    "EmbeddingsSection",
    "ExcludeSection",
    "FolderSection",
    "HostSection",
    "InatOpenDataSection",
    "QualitySection",
    "RecordsSection",
    "Section",
    "SensitiveSection",
    "SourceSection",
    "SourceSettings",
    "TextTableSection",
    "TreeOfLifeSection",
    "UrlsSection",
]
# As long as a slow store may take for one photo with its own repeats.
STALL_S = 120.0
DEFAULT_RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")


class AtlasSection(Section, frozen=True, kw_only=True):
    """`[atlas]`: what the atlas is, as people will see it."""

    title: Text
    """Name of the atlas."""
    description: str = ""
    """A sentence or two about what it holds."""
    demonstration: bool = False
    """True where the pictures or records are made up; every page then says so."""


class OutputSection(Section, frozen=True, kw_only=True):
    """`[output]`: where the bundle goes."""

    bundle: Path
    """Folder of the finished bundle; a relative path starts at the plan's folder."""
    work: Path | None = None
    """Folder for parts and other unfinished work; default: the bundle's name with `.work`, beside
    it. Never inside the bundle, which is published whole."""

    def __post_init__(self) -> None:
        """Check what types cannot: the two folders."""
        work = self.work_folder()
        if work == self.bundle or self.bundle in work.parents or work in self.bundle.parents:
            raise ValueError("`work` and `bundle` must be two folders, neither inside the other")

    def work_folder(self) -> Path:
        """The folder for unfinished work."""
        return self.work or self.bundle.with_name(f"{self.bundle.name}.work")


class SpaceSection(Section, frozen=True, kw_only=True):
    """`[[spaces]]`: one encoder and the vector space that it makes."""

    name: str
    """Short name; part of file names and of the API."""
    encoder: str = ""
    """`hf-hub:OWNER/NAME`, `local-dir:FOLDER` (relative to the plan), or an OpenCLIP model name;
    may stay empty where all vectors come ready, then the space cannot be asked in words."""
    pretrained: str | None = None
    """OpenCLIP tag or file of the weights, where `encoder` is a model name."""
    device: Text = "auto"
    """`auto` (every CUDA GPU of the machine, each with a copy of the model, else the CPU), `cpu`,
    `cuda` or `cuda:N`."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the model while it runs; `auto` is bfloat16 on a GPU, float32 elsewhere."""
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 64
    """Pictures that go through the model at once."""
    compile: bool | Literal["auto"] = "auto"
    """Compile the model with torch, a minute or more at the first batch; `auto`: on a GPU, where
    Triton and a C compiler are there."""
    prompts: PromptTemplates = PromptTemplates()
    """Sentences that queries and names are put into before the text encoder sees them."""
    fingerprint: str | None = None
    """SHA-256 of the weights that made ready vectors, where their publisher states it; a server
    then refuses an encoder with other weights."""
    dim: Annotated[int, msgspec.Meta(ge=1, le=65536)] | None = None
    """Length of the vectors; default: what the encoder says, or most of the first ready vectors."""

    def __post_init__(self) -> None:
        """Check what types cannot: name, fingerprint and query prompt."""
        check_key("name", self.name)
        if "{text}" not in self.prompts.query:
            raise ValueError("`prompts`: the query prompt must hold {text}")
        if self.fingerprint is not None and not re.fullmatch(r"[0-9a-f]{64}", self.fingerprint):
            raise ValueError("`fingerprint` must be 64 hexadecimal digits")


class IndexSection(Section, frozen=True, kw_only=True):
    """`[index]`: how vectors are indexed."""

    factory: Text = "auto"
    """FAISS factory string, `{n}` standing for the number of lists; `auto` chooses the nearest to
    `OPQ96,IVF{n},PQ96` that fits the dimension and the number of rows."""
    coarse: Literal["groups", "hnsw"] = "groups"
    """How a query finds its nearest lists: `groups` compares it with all centroids and, from 16,384
    lists on, with those of the nearest groups of them; `hnsw` walks a graph over the centroids, at
    any number of lists."""
    exact_below: Annotated[int, msgspec.Meta(ge=0)] = 100_000
    """Atlases of fewer rows are searched exactly, without an index."""
    segment_rows: Count = 10_000_000
    """Most rows of one segment."""
    train_rows: Count | Literal["auto"] = "auto"
    """Rows that the index is trained on; `auto` follows the number of lists."""
    taxon_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.01
    """Most of these rows that one taxon may give, so that a few common ones do not take all lists;
    1 draws from every taxon by its size."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    """Seed of every sample that is drawn."""
    device: Text = "auto"
    """Where lists are found and rows encoded: `auto` (a CUDA GPU where there is one), `cpu`,
    `cuda` or `cuda:N`."""


class CellsSection(Section, frozen=True, kw_only=True):
    """`[cells]`: the H3 grid."""

    resolution: Annotated[int, msgspec.Meta(ge=0, le=15)] = 7
    """Finest resolution at which records are stored; uncertain records are stored coarser."""
    species_resolutions: tuple[Annotated[int, msgspec.Meta(ge=0, le=15)], ...] = (3, 4, 5)
    """Resolutions at which the species of every cell are listed; of others they are counted when
    asked for."""


class TaxaSection(Section, frozen=True, kw_only=True):
    """`[taxa]`: the taxonomy."""

    ranks: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)] = DEFAULT_RANKS
    """Rank names from the root down; each is also the name of a column."""

    def __post_init__(self) -> None:
        """Check what types cannot: names that differ."""
        if len(set(self.ranks)) != len(self.ranks):
            raise ValueError("`ranks` names a rank twice")


class MediaSection(Section, frozen=True, kw_only=True):
    """`[media]`: which photos are copied into the bundle, and which are refused."""

    host: tuple[Text, ...] = ()
    """Licences (`CC0-1.0`, `CC-BY-4.0`, …) whose photos may be copied into the bundle; none by
    default. The atlas does not judge whether a licence allows it."""
    max_side_px: Annotated[int, msgspec.Meta(ge=16, le=16384)] = 1024
    """Longer side of a copied photo; larger ones are scaled down."""
    max_pixels: Annotated[int, msgspec.Meta(ge=1)] = 100_000_000
    """Photos with more pixels are refused before they are decoded."""
    max_file_bytes: Annotated[int, msgspec.Meta(ge=1)] = 256_000_000
    """Larger image files are refused before they are read."""


class DuplicatesSection(Section, frozen=True, kw_only=True):
    """`[duplicates]`: which photos of a burst repeat another; they are marked and kept."""

    burst_cosine: Annotated[float, msgspec.Meta(ge=0, le=1)] = LEAST_COSINE
    """Least cosine, in the first space, of two photos of a burst that show the same view."""
    burst_rows: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = NEAR_ROWS
    """How many rows apart, in the order of the bundle, they may lie."""


class RejectsSection(Section, frozen=True, kw_only=True):
    """`[rejects]`: how much refused input a build accepts."""

    max_share: Share = 0.05
    """Share of all rows that may be refused, not counting those of `[exclude]`; above it the build
    stops before it publishes."""


class PartsSection(Section, frozen=True, kw_only=True):
    """`[parts]`: the unit of build work."""

    rows: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 2_000
    """Rows of one part, the most work that a killed build loses a worker. Parts of ready vectors
    follow the row groups of their files instead, and parts of records without pictures have 65,536
    rows or more."""


class MeasureSection(Section, frozen=True, kw_only=True):
    """`[measure]`: the check of the index against exact search before a bundle is published."""

    queries: Count = 500
    """Held-out rows asked of the index."""
    k: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    """Hits compared for each query."""
    recall_target: Share = 0.95
    """Mean share of the exact hits that the index must find, or the bundle is not published."""


class WorkersSection(Section, frozen=True, kw_only=True):
    """`[workers]`: how many parts are worked on at once; changes nothing in the bundle."""

    count: Annotated[int, msgspec.Meta(ge=1, le=1024)] | Literal["auto"] = "auto"
    """Worker processes; `auto` follows the processors."""
    decode_processes: Annotated[int, msgspec.Meta(ge=0, le=256)] | Literal["auto"] = "auto"
    """Processes that read and decode pictures ahead of the models; 0: threads of the build's own
    process do. `auto`: 0 where models run on the CPU, else the processors less one a GPU."""
    decode_threads: Annotated[int, msgspec.Meta(ge=1, le=256)] | Literal["auto"] = "auto"
    """Threads of each of those processes, or of the build's own; more for photos that are read
    over a network. `auto`: 4, and as many as processors where a GPU is fed without processes."""
    stall_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = STALL_S
    """Seconds after which a photo that gives nothing stops the build: a store or a network disk
    hangs. The build goes on where it was when it is started again."""
