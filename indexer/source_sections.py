"""The `[[sources]]` entries of a build plan, as frozen structs: one kind of source each.

Knows nothing of files or of TOML: `indexer.plan` reads them. Immutable, safe from any thread.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from indexer.section import Section, Text, check_key


class SourceSection(Section, tag_field="kind", frozen=True, kw_only=True):
    """What every `[[sources]]` entry says of where its rows come from."""

    key: str
    """Short name; part of every image id, so changing it makes other images of all rows."""
    title: Text
    """Name of the data set."""
    path: Path
    """Where it lies: see the kind of source."""
    citation: str = ""
    """How its authors want to be cited."""
    licence: str = ""
    """Licence of the records; used where a row states none."""
    url: str = ""
    """Web page of the data set."""
    media_licence: str = ""
    """Licence of the photos of which the rows state none; never taken from the records' licence."""
    columns: dict[str, str] = msgspec.field(default_factory=dict)
    """The file's own names for columns, by the name the atlas expects, where they differ."""

    def __post_init__(self) -> None:
        """Check what types cannot: the key."""
        check_key("key", self.key)


class TextTableSection(SourceSection, frozen=True, kw_only=True):
    """What a source says of a table that may be text, in any encoding."""

    encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8"
    """Character encoding of a text table; UTF-8 may begin with a byte order mark."""
    delimiter: Annotated[str, msgspec.Meta(pattern='^(auto|[^"\r\n])$')] = "auto"
    """Character between the columns of a text table; `auto` takes the commonest of `,`, `;`, tab
    and `|` in the header line."""
    quoting: Literal["auto", "double", "none"] = "auto"
    """Whether fields of a text table may stand in double quotes; `auto`: yes, except where the
    delimiter is a tab, since tab-separated Darwin Core is written without."""
    as_of: date | None = None
    """Observations after this day are flagged as implausible; default: the day on which the table
    was last written (never today, or a resumed build would differ)."""

    @property
    def table(self) -> Path:
        """The file of the table."""
        return self.path

    @property
    def quote(self) -> str:
        """The character around quoted fields."""
        return '"'

    @property
    def header(self) -> tuple[str, ...] | None:
        """Names of the columns; None: the first line has them."""
        return None

    @property
    def skipped_lines(self) -> int:
        """Lines before the first row, where `header` is given."""
        return 0


class FolderSection(TextTableSection, tag="folder", frozen=True, kw_only=True):
    """`kind = "folder"`: a folder of images with a table of Darwin Core columns.

    `path` is the folder of images. Column names are Darwin Core terms, and the names of `ranks`.
    """

    records: Path
    """The table: a `.csv`, `.tsv`, `.txt` or `.parquet` file."""
    file_column: Text = "file"
    """Column that names the image file, relative to `path`."""
    media_licence_column: Text = "mediaLicense"
    """Column with the licence of the photo, which is not the licence of the record."""

    @property
    def table(self) -> Path:
        """The file of the table."""
        return self.records


class RecordsSection(TextTableSection, tag="records", frozen=True, kw_only=True):
    """`kind = "records"`: a table of Darwin Core records without pictures, for maps.

    `path` is a `.csv`, `.tsv`, `.txt` or `.parquet` file, or a `.zip` that holds one of them.
    Column names are Darwin Core terms, and the names of `ranks`. A plan with such sources has no
    `[[spaces]]`.
    """

    constant: dict[str, str] = msgspec.field(default_factory=dict)
    """Value of a term, or of a rank, for every row that leaves it empty."""
    genus_from_name: bool = True
    """Take a genus that the row leaves empty from its scientific name, where that is a binomial."""


class EmbeddingsSection(SourceSection, tag="embeddings", frozen=True, kw_only=True):
    """`kind = "embeddings"`: Parquet files of ready image vectors with taxonomy, without pictures.

    `path` is a Parquet file, or a pattern with `*`. Names that `columns` may map: occurrence_id,
    scientific_name, common_name, media_url, basis_of_record, dataset_key, observer, licence,
    media_licence, rights_holder, reference_url, decimal_latitude, decimal_longitude,
    coordinate_uncertainty_m, event_date, and those of `ranks`. Place and date are read only where
    the plan maps them.
    """

    space: str
    """Name of the space that the vectors belong to."""
    id_column: Text = "uuid"
    """Column with each image's UUID, which is kept as its image id."""
    vector_column: Text = "emb"
    """Column with the vectors, of any length but zero; they are made unit vectors."""
    as_of: date | None = None
    """Observations after this day are flagged as implausible; default: the day on which the file
    was last written."""


class DwcaSection(SourceSection, tag="dwca", frozen=True, kw_only=True):
    """`kind = "dwca"`: a Darwin Core Archive, or a download of GBIF: occurrences with their photos.

    `path` is a `.zip`, the folder it was unpacked into, or the occurrence file alone. The archive's
    `meta.xml` says how its files are written; without one, `occurrence.txt` (or the only table) and
    `multimedia.txt` are read with the names in their header lines. Each photo of the multimedia
    extension is one row. In a plan without `[[spaces]]` pictures are not read, rows keep their
    addresses, and an occurrence without a photo is a row as well.
    """

    media_folder: Path | None = None
    """Folder that relative paths of photos start at; default: that of the archive."""
    mirrors: dict[str, str] = msgspec.field(default_factory=dict)
    """Where photos are read whose address begins with a text: `"https://example.org/" =
    "file:///photos/"`, or any other URL that fsspec opens. Other addresses are refused."""
    constant: dict[str, str] = msgspec.field(default_factory=dict)
    """Value of a term, or of a rank, for every row that leaves it empty."""
    genus_from_name: bool = True
    """Take a genus that the row leaves empty from its scientific name, where that is a binomial."""
    encoding: Text | None = None
    """Character encoding of the tables, where the archive states a wrong one."""
    as_of: date | None = None
    """Observations after this day are flagged as implausible; default: the day on which the
    archive was last written."""


class InatOpenDataSection(SourceSection, tag="inat_open_data", frozen=True, kw_only=True):
    """`kind = "inat_open_data"`: iNaturalist Open Data, photos of observations.

    `path` is the folder of `observations.csv.gz`, `photos.csv.gz`, `taxa.csv.gz` and
    `observers.csv.gz`, tab-separated. They are joined once, in the work folder, in bounded memory.
    """

    photos: str = ""
    """Where the photos lie, as any URL that fsspec opens (`s3://BUCKET/photos/`, `file:///…/`);
    default: the folder `photos` beside the tables."""
    size: Literal["original", "large", "medium", "small", "thumb", "square"] = "medium"
    """Which size of each photo is read and linked to."""
    as_of: date | None = None
    """Observations after this day are flagged as implausible; default: the day on which the table
    of observations was last written."""


class TreeOfLifeSection(SourceSection, tag="tree_of_life", frozen=True, kw_only=True):
    """`kind = "tree_of_life"`: TreeOfLife-200M, or any catalog of pictures that lie in shards.

    `path` is the catalog, a Parquet file, or the folder of `catalog.parquet`. Shards are WebDataset
    `.tar` files, whose samples are named by the catalog's `uuid`, and Parquet files with columns
    `uuid` and `image_column`. They are indexed and joined once, in the work folder, in bounded
    memory. `columns` may map the catalog's columns, the provenance's, and those of `ranks`.
    """

    shards: str = ""
    """Where the shards lie, as any URL that fsspec opens (`s3://BUCKET/shards/`, `file:///…/`);
    default: the folder `shards` beside the catalog."""
    provenance: Path | None = None
    """Parquet file with licence and rights holder of each picture; default:
    `metadata/provenance.parquet` beside the catalog, where it is there."""
    image_column: Text = "image"
    """Column of Parquet shards with the pictures: files, or pixels in the order blue, green, red
    with their height and width in `resized_size`."""
    rows: Literal["either", "catalog", "shards"] = "either"
    """What is a row: what stands in `either`; or in the `catalog` only, where the shards hold more
    than this atlas is to have; or in the `shards` only, where the catalog tells of more."""
    as_of: date | None = None
    """Observations after this day are flagged as implausible; default: the day on which the catalog
    was last written."""

    @property
    def catalog(self) -> Path:
        """The file of the catalog."""
        is_file = self.path.suffix.lower() in {".parquet", ".pq"}
        return self.path if is_file else self.path / "catalog.parquet"


class HostSection(Section, frozen=True, kw_only=True):
    """`[sources.hosts."NAME"]`: one host that is asked more or less often than others."""

    requests_per_s: Annotated[float, msgspec.Meta(gt=0, le=1000)]
    """Requests that may begin in a second: 1.0 for hosts that ask for one a second."""
    connections: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Requests that may run at once."""


class UrlsSection(TextTableSection, tag="urls", frozen=True, kw_only=True):
    """`kind = "urls"`: a table of records with the addresses of their photos, which are fetched.

    `path` is a `.csv`, `.tsv`, `.txt` or `.parquet` file, or a `.zip` that holds one text table.
    Column names are Darwin Core terms, and the names of `ranks`. Photos are kept in the work
    folder.
    """

    contact: Annotated[str, msgspec.Meta(pattern=r"^(https?://\S+|[^@\s]+@[^@\s]+\.[^@\s]+)$")]
    """Your mail address or web page, told to every host that is asked."""
    address_column: Text = "mediaURL"
    """Column with the address of each photo."""
    media_licence_column: Text = "mediaLicense"
    """Column with the licence of the photo, which is not the licence of the record."""
    requests_per_s: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 4.0
    """Requests that may begin in a second, of each host; a host's robots.txt may ask for fewer."""
    connections: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    """Requests of one host that may run at once."""
    hosts: dict[str, HostSection] = msgspec.field(default_factory=dict)
    """Hosts with limits of their own, by name."""
    fetch_threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    """Requests of all hosts that may run at once."""
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Longest wait for a connection, or for the next bytes."""
    deadline_s: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    """Longest time that one photo may take."""
    tries: Annotated[int, msgspec.Meta(ge=1, le=20)] = 4
    """Requests for one photo before it is given up."""
    retry_wait_s: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    """Rest of a host after a failure, doubled with every further one in a row."""
    longest_wait_s: Annotated[float, msgspec.Meta(ge=0)] = 300.0
    """Longest such rest; a host that asks for more (`Retry-After`) is given up for this build."""
    give_up_after: Annotated[int, msgspec.Meta(ge=1)] = 20
    """Failures in a row after which a host is given up for this build."""
    private_addresses: bool = False
    """Whether hosts of a private network, or of this machine, may be asked."""
    constant: dict[str, str] = msgspec.field(default_factory=dict)
    """Value of a term, or of a rank, for every row that leaves it empty."""
    genus_from_name: bool = True
    """Take a genus that the row leaves empty from its scientific name, where that is a binomial."""


SourceSettings = (
    FolderSection
    | EmbeddingsSection
    | RecordsSection
    | DwcaSection
    | InatOpenDataSection
    | TreeOfLifeSection
    | UrlsSection
)
