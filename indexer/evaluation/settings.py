"""How the files of a query set are written: a small TOML, or the defaults.

Immutable, safe from any thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from indexer.plan import parse_toml, plan_error, read_text
from indexer.section import Section, Text

Match = Literal["image_id", "occurrence_id", "media_url"]


class QueriesSection(Section, frozen=True, kw_only=True):
    """`[queries]`: the columns of the file of queries."""

    text: Text = "query"
    """Column with the words that are asked."""
    query_id: Text | None = None
    """Column that tells queries apart; without it rows of one text are one query."""
    categories: tuple[Text, ...] | None = None
    """Columns to average by, one after another; default: `category`, where there is one."""
    image_id: Text = "image_id"
    """Column with the relevant images, one or several; not read where there is `[relevant]`."""
    separators: str = "| "
    """Characters between several images of one field (a blank stands for any white space); empty
    where a field is one image, whatever it holds."""


class RelevantSection(Section, frozen=True, kw_only=True):
    """`[relevant]`: a file of its own that says which images are relevant to which query."""

    file: Text
    """Its name; a relative one starts at the folder of the file of queries."""
    query_id: Text = "query_id"
    """Column with the query, as in the queries' own `query_id`."""
    image_id: Text = "image_id"
    """Column with the relevant images, one or several."""
    separators: str = "| "
    """As in `[queries]`."""


class QuerySetSettings(Section, frozen=True, kw_only=True):
    """A whole description of a query set."""

    match: Match = "image_id"
    """What of the bundle's images the named ones are compared with: `image_id`, `occurrence_id`
    (all photos of the record are relevant) or `media_url`."""
    queries: QueriesSection = QueriesSection()
    """The columns of the file of queries."""
    relevant: RelevantSection | None = None
    """The file of relevant images, where it is another one."""

    def __post_init__(self) -> None:
        """Check that the two files can be joined."""
        if self.relevant is not None and self.queries.query_id is None:
            raise ValueError("`queries` needs `query_id`, since `[relevant]` names queries by it")


def read_settings(path: Path) -> QuerySetSettings:
    """Read a description; PlanError names the file and, if it can be known, the line at fault."""
    text = read_text(path)
    try:
        return msgspec.convert(parse_toml(path, text), QuerySetSettings)
    except msgspec.ValidationError as error:
        raise plan_error(path, text, str(error)) from error
