"""What an operator may change: frozen structs read from one TOML file and the environment.

Only the application layer reads this module; everything below receives plain arguments. Nothing
here is kept in a global. `docs/tuning.md` explains each setting, and a test holds it to that.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from atlas.errors import AtlasError
from atlas.reading.town_reach import PEOPLE_PER_KM2
from atlas.search.diversity import DiversitySettings
from atlas.search.fusion import FusionSettings
from atlas.search.planner import SearchSettings
from atlas.species.gaps import GapSettings
from atlas.species.map_settings import MapSettings

ENVIRONMENT_PREFIX = "ATLAS_"
ENVIRONMENT_SEPARATOR = "__"

MIB = 1024 * 1024


class SettingsError(AtlasError):
    """A setting is unknown or out of its bounds; names the file or variable it came from."""

    def __init__(self, origin: str, problem: str) -> None:
        super().__init__(f"{origin}: {problem}")
        self.origin = origin
        self.problem = problem


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the TOML file; unknown keys are refused."""


class ServerSettings(_Section, frozen=True, kw_only=True):
    """Where the server listens and what it accepts."""

    host: Annotated[str, Meta(min_length=1, description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 takes a free one")] = 8000
    max_body_bytes: Annotated[
        int, Meta(ge=1024, le=1024 * MIB, description="largest request body taken, in bytes")
    ] = 16 * MIB
    shutdown_s: Annotated[
        int, Meta(ge=0, le=600, description="time open requests get to finish at shutdown, in s")
    ] = 15
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least level logged")
    ] = "info"


class BundleSettings(_Section, frozen=True, kw_only=True):
    """Which bundle is served and how it is checked when it is opened."""

    path: Annotated[str, Meta(description="folder of the bundle; --bundle overrides it")] = ""
    verify: Annotated[
        Literal["full", "sizes"],
        Meta(description="full reads every file for its checksum; sizes compares sizes only"),
    ] = "full"
    follow_s: Annotated[
        float,
        Meta(ge=0, le=3600, description="how often a new state is looked for, in s; 0 never"),
    ] = 2.0
    catalog_memory_mb: Annotated[
        int, Meta(ge=64, description="memory that the catalog's blocks may take, in megabytes")
    ] = 768


class SpacesSettings(_Section, frozen=True, kw_only=True):
    """How the encoders of the bundle's spaces are loaded."""

    missing_encoder: Annotated[
        Literal["refuse", "serve"],
        Meta(description="what to do when the encoder of a space cannot be loaded"),
    ] = "refuse"
    encoders: Annotated[
        dict[str, str],
        Meta(description="other places of the same weights: space name -> encoder"),
    ] = {}
    device: Annotated[
        str, Meta(min_length=1, description="torch device of the encoders, or auto")
    ] = "auto"
    dtype: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"],
        Meta(description="number format of the encoders' weights"),
    ] = "auto"
    compile: Annotated[bool, Meta(description="compile the encoders with torch.compile")] = False


class BatchingSettings(_Section, frozen=True, kw_only=True):
    """How concurrent texts are brought together before they enter the encoder."""

    max_batch: Annotated[
        int, Meta(ge=1, le=4096, description="most texts encoded in one batch")
    ] = 32
    max_wait_s: Annotated[
        float, Meta(ge=0, le=1, description="longest time a text waits for others, in seconds")
    ] = 0.003
    max_waiting: Annotated[
        int, Meta(ge=1, le=100_000, description="most texts waiting; beyond it the answer is 503")
    ] = 256


class QueueSettings(_Section, frozen=True, kw_only=True):
    """How many searches run at once and how many may wait."""

    workers: Annotated[
        int, Meta(ge=0, le=256, description="searches running at once; 0 takes the CPU count")
    ] = 0
    max_waiting: Annotated[
        int, Meta(ge=1, le=100_000, description="searches waiting; beyond it the answer is 503")
    ] = 256
    retry_after_s: Annotated[
        float, Meta(gt=0, le=600, description="what Retry-After tells a refused client, in s")
    ] = 1.0


class ReadingSettings(_Section, frozen=True, kw_only=True):
    """What questions are read with, beside what comes with the server."""

    grammars: Annotated[str, Meta(description="folder of further grammars, LANGUAGE.toml")] = ""
    places: Annotated[str, Meta(description="table of further places, CSV")] = ""
    scene_spaces: Annotated[
        tuple[str, ...], Meta(description="spaces whose encoders know scenes: they get place words")
    ] = ()
    people_per_km2: Annotated[
        float, Meta(ge=100, le=100_000, description="density by which a town's reach is reckoned")
    ] = PEOPLE_PER_KM2


class PicturesSettings(_Section, frozen=True, kw_only=True):
    """What an uploaded photo may be."""

    max_pixels: Annotated[
        int, Meta(ge=1024, le=1_000_000_000, description="most pixels of an uploaded photo")
    ] = 50_000_000
    workers: Annotated[int, Meta(ge=1, le=64, description="photos decoded and encoded at once")] = 1
    max_waiting: Annotated[
        int, Meta(ge=1, le=10_000, description="photos waiting; beyond it the answer is 503")
    ] = 16
    cache_s: Annotated[
        int, Meta(ge=0, le=31_536_000, description="how long a client may keep a picture, in s")
    ] = 86_400


class PageSettings(_Section, frozen=True, kw_only=True):
    """The basemap of the page's map, where the atlas's own is not to be shown."""

    tiles: Annotated[
        str, Meta(description="address of picture tiles with {z}, {x} and {y}; empty: none")
    ] = ""
    style: Annotated[str, Meta(description="address of a MapLibre style; empty: none")] = ""
    attribution: Annotated[str, Meta(description="whom the map credits for its basemap")] = ""
    max_zoom: Annotated[int, Meta(ge=0, le=24, description="greatest zoom that has tiles")] = 19
    hosts: Annotated[
        tuple[str, ...], Meta(description="further origins that the style fetches from")
    ] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be shown, or would be shown without credit."""
        if self.tiles and self.style:
            raise ValueError("page.tiles and page.style exclude each other")
        if self.tiles and not all(part in self.tiles for part in ("{z}", "{x}", "{y}")):
            raise ValueError("page.tiles needs {z}, {x} and {y}")
        if self.tiles and not self.attribution:
            raise ValueError("page.tiles needs page.attribution: maps credit their sources")
        for address in filter(None, (self.tiles, self.style, *self.hosts)):
            if not address.startswith(("https://", "http://", "/")) or set(address) & set(" ;,'\""):
                raise ValueError(
                    f"{address!r} is no address that begins with https://, http:// or /"
                )


class Settings(_Section, frozen=True, kw_only=True):
    """All settings; each section is a table of the TOML file."""

    server: ServerSettings = ServerSettings()
    bundle: BundleSettings = BundleSettings()
    spaces: SpacesSettings = SpacesSettings()
    batching: BatchingSettings = BatchingSettings()
    queue: QueueSettings = QueueSettings()
    search: SearchSettings = SearchSettings()
    fusion: FusionSettings = FusionSettings()
    diversity: DiversitySettings = DiversitySettings()
    reading: ReadingSettings = ReadingSettings()
    pictures: PicturesSettings = PicturesSettings()
    page: PageSettings = PageSettings()
    maps: MapSettings = MapSettings()
    gaps: GapSettings = GapSettings()


class Setting(msgspec.Struct, frozen=True):
    """One setting as documentation knows it: `section.key`, default and description."""

    name: str
    default: object
    description: str


def every_setting() -> Iterator[Setting]:
    """Each setting in the order of the file, for the tuning page and its test."""
    for section in msgspec.structs.fields(Settings):
        for key in msgspec.structs.fields(section.type):
            meta = next(
                (part for part in getattr(key.type, "__metadata__", ()) if isinstance(part, Meta)),
                Meta(),
            )
            default = getattr(section.default, key.name)
            yield Setting(f"{section.name}.{key.name}", default, meta.description or "")


def load_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read settings: defaults, then the TOML file, then `ATLAS_SECTION__KEY` variables.

    Raises SettingsError naming the file or the variable at fault.
    """
    tables = _read_toml(path) if path is not None else {}
    _convert(tables, str(path), strict=True)
    for variable, value in sorted(environment.items()):
        location = _location(variable)
        if location is None:
            continue
        section, key = location
        table = tables.setdefault(section, {})
        # One variable at a time, so that a refusal can name it.
        tables[section] = {**table, key: value}
        _convert(tables, variable, strict=False)
    return _convert(tables, str(path), strict=False)


def override(settings: Settings, section: str, **values: object) -> Settings:
    """Settings with some keys of one section replaced; None leaves a key as it is."""
    given = {key: value for key, value in values.items() if value is not None}
    replaced = msgspec.structs.asdict(getattr(settings, section)) | given
    tables = msgspec.to_builtins(settings) | {section: msgspec.to_builtins(replaced)}
    return _convert(tables, "command line", strict=True)


def _location(variable: str) -> tuple[str, str] | None:
    """Section and key of a variable; None for variables that are not settings.

    Only names with the double underscore are settings, so that other programs may use the prefix.
    """
    if not variable.startswith(ENVIRONMENT_PREFIX):
        return None
    section, separator, key = variable.removeprefix(ENVIRONMENT_PREFIX).partition(
        ENVIRONMENT_SEPARATOR
    )
    return (section.lower(), key.lower()) if separator else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError as error:
        raise SettingsError(str(path), "this file is missing") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(str(path), f"this file cannot be read: {error}") from error


def _convert(tables: dict[str, Any], origin: str, *, strict: bool) -> Settings:
    try:
        return msgspec.convert(tables, Settings, strict=strict)
    except msgspec.ValidationError as error:
        raise SettingsError(origin, str(error)) from error
