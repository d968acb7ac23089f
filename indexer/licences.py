"""Brings the many spellings of a licence to one code, such as `CC-BY-4.0`.

Knows nothing of what a licence allows: a plan lists the codes whose photos may be copied.
Pure functions, safe from any thread.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

ALL_RIGHTS_RESERVED = "All-Rights-Reserved"
PUBLIC_DOMAIN_MARK = "PDM-1.0"
CC0 = "CC0-1.0"

_CC_VERSIONS = ("1.0", "2.0", "2.5", "3.0", "4.0")
_CC_KINDS = {
    "BY": "Attribution",
    "BY-SA": "Attribution-ShareAlike",
    "BY-NC": "Attribution-NonCommercial",
    "BY-ND": "Attribution-NoDerivatives",
    "BY-NC-SA": "Attribution-NonCommercial-ShareAlike",
    "BY-NC-ND": "Attribution-NonCommercial-NoDerivatives",
}
# Versions 1.0 wrote some elements in another order (licenses/by-nd-nc/1.0/).
_ELEMENT_ORDER = ("BY", "NC", "ND", "SA")

_CC_URL = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/licen[sc]es/"
    r"(?P<kind>by[a-z-]*)(?:/(?P<version>\d\.\d)(?:/(?P<port>[a-z]{2,3}))?)?"
    r"(?:/(?:legalcode|deed)(?:\.[a-z_-]+)?)?/?(?:[?#].*)?",
    re.ASCII,
)
_CC_PUBLIC_URL = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/(?:publicdomain|licen[sc]es)/"
    r"(?P<kind>zero|mark|publicdomain|cc0)(?:/1\.0)?(?:/(?:legalcode|deed)(?:\.[a-z_-]+)?)?/?"
    r"(?:[?#].*)?",
    re.ASCII,
)
_CC_WORDS = re.compile(
    r"(?:cc|creative commons)[ -]*"
    r"(?P<kind>by(?:[ -]+(?:nc|nd|sa))*)"
    r"(?:[ -]*v?(?P<version>\d(?:\.\d)?))?"
    r"(?: +(?:international|unported|generic)|[ -](?P<port>[a-z]{2,3}))?(?: +licen[sc]e)?",
    re.ASCII,
)
_CC0_WORDS = re.compile(
    r"(?:cc|creative commons)[ -]?(?:0|zero)(?:[ -]*v?1(?:\.0)?)?(?: +universal)?"
    r"(?: +(?:public domain dedication|licen[sc]e))?",
    re.ASCII,
)
# The forms in words that GBIF, iNaturalist and Wikimedia write.
_PLAIN_WORDS = {
    "public domain": PUBLIC_DOMAIN_MARK,
    "publicdomain": PUBLIC_DOMAIN_MARK,
    "public domain mark": PUBLIC_DOMAIN_MARK,
    "public domain mark 1.0": PUBLIC_DOMAIN_MARK,
    "pd": PUBLIC_DOMAIN_MARK,
    "pdm": PUBLIC_DOMAIN_MARK,
    "pdm 1.0": PUBLIC_DOMAIN_MARK,
    "pdm-1.0": PUBLIC_DOMAIN_MARK,
    "no rights reserved": CC0,
    "all rights reserved": ALL_RIGHTS_RESERVED,
    "all-rights-reserved": ALL_RIGHTS_RESERVED,
    "copyright all rights reserved": ALL_RIGHTS_RESERVED,
    "© all rights reserved": ALL_RIGHTS_RESERVED,
}
_LONG_ELEMENTS = (
    ("attribution", "by"),
    ("noncommercial", "nc"),
    ("non-commercial", "nc"),
    ("non commercial", "nc"),
    ("noderivatives", "nd"),
    ("noderivs", "nd"),
    ("no derivatives", "nd"),
    ("sharealike", "sa"),
    ("share alike", "sa"),
    ("share-alike", "sa"),
)


class Licence(NamedTuple):
    """A licence: `code` is SPDX-like where recognised, else the verbatim text; `url` may be "".

    `recognised` is False where the text is kept as it came.
    """

    code: str
    title: str
    url: str
    recognised: bool


@lru_cache(maxsize=4096)
def normalise_licence(text: str) -> Licence | None:
    """The licence that `text` names; None where it is empty.

    Understands Creative Commons addresses (http or https, with or without a trailing slash, with
    `legalcode`, ported to a country), their short names (`CC BY-SA 3.0`, `cc-by-nc`), CC0, the
    public domain mark and "all rights reserved". A Creative Commons name without a version keeps
    none (`CC-BY`): a version is never guessed. Whatever else is kept as it is written.
    """
    verbatim = " ".join(text.split())
    if not verbatim:
        return None
    folded = verbatim.casefold().strip(" .")
    return (
        _from_url(folded)
        or _from_words(folded)
        or _from_both(folded)
        or Licence(verbatim, verbatim, _url_in(verbatim), recognised=False)
    )


def _from_both(text: str) -> Licence | None:
    """Read `long name (short name)`, where the two agree."""
    long_name, bracket, short_name = text.partition("(")
    if not bracket or not short_name.endswith(")"):
        return None
    long_name = long_name.strip()
    if long_name.startswith("attribution"):
        long_name = f"cc {long_name}"
    licence = _from_words(short_name[:-1])
    return licence if licence is not None and _from_words(long_name) == licence else None


def _url_in(text: str) -> str:
    return text if re.fullmatch(r"https?://\S+", text) else ""


def _from_url(text: str) -> Licence | None:
    match = _CC_URL.fullmatch(text)
    if match is not None:
        return _creative_commons(match["kind"], match["version"], match["port"])
    match = _CC_PUBLIC_URL.fullmatch(text)
    if match is None:
        return None
    return _public(CC0 if match["kind"] in {"zero", "cc0"} else PUBLIC_DOMAIN_MARK)


def _from_words(text: str) -> Licence | None:
    # GBIF's own list writes CC_BY_4_0.
    text = re.sub(r"(\d)-(\d)$", r"\1.\2", text.replace("_", "-"))
    if text in _PLAIN_WORDS:
        return _public(_PLAIN_WORDS[text])
    if _CC0_WORDS.fullmatch(text):
        return _public(CC0)
    for long_form, short_form in _LONG_ELEMENTS:
        text = text.replace(long_form, short_form)
    match = _CC_WORDS.fullmatch(text)
    if match is None:
        return None
    version = match["version"]
    if version is not None and "." not in version:
        version = f"{version}.0"
    return _creative_commons(match["kind"], version, match["port"])


def _creative_commons(kind: str, version: str | None, port: str | None) -> Licence | None:
    """A Creative Commons licence, or None where there is none of that kind and version."""
    written = {element.upper() for element in re.split(r"[ -]+", kind)}
    name = "-".join(element for element in _ELEMENT_ORDER if element in written)
    if written - set(_ELEMENT_ORDER) or name not in _CC_KINDS:
        return None
    if version is not None and version not in _CC_VERSIONS:
        return None
    code = "-".join(filter(None, ("CC", name, version, port and port.upper())))
    title = " ".join(filter(None, (f"Creative Commons {_CC_KINDS[name]}", version)))
    if port:
        title = f"{title} ({port.upper()})"
    url = f"https://creativecommons.org/licenses/{name.lower()}/"
    if version is not None:
        url = f"{url}{version}/{f'{port}/' if port else ''}"
    return Licence(code, title, url, recognised=True)


def _public(code: str) -> Licence:
    title, url = {
        CC0: ("Creative Commons Zero 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        PUBLIC_DOMAIN_MARK: (
            "Public Domain Mark 1.0",
            "https://creativecommons.org/publicdomain/mark/1.0/",
        ),
        ALL_RIGHTS_RESERVED: ("All rights reserved", ""),
    }[code]
    return Licence(code, title, url, recognised=True)
