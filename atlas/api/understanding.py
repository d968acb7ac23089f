"""Reads the words of questions about one bundle and says what was understood.

The use case behind `/v1/interpret` and the words of every search. Threads: safe from any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from atlas.api.applied import Offered, Reading, Understood, apply_spans
from atlas.api.named_places import places_of
from atlas.api.schemas import Interpretation
from atlas.catalog import Catalog
from atlas.geo.layers import Layers
from atlas.reading.grammar import Grammar, read_grammars
from atlas.reading.lexicon import NameColumns, TaxonLexicon
from atlas.reading.place_sources import read_gazetteer
from atlas.reading.places import Gazetteer
from atlas.reading.reader import QuestionReader
from atlas.search.filters import Filter

_TAXA = (
    "SELECT taxon_id, scientific_name, rank, last_descendant, images FROM taxon ORDER BY taxon_id"
)
_NAMES = "SELECT DISTINCT name, taxon_id, kind = 'scientific' AS is_scientific FROM taxon_name"


class Understanding:
    """Reads questions with the names, sources and licences of one bundle."""

    def __init__(
        self,
        catalog: Catalog,
        layers: Layers,
        grammars: Sequence[Grammar],
        gazetteer: Gazetteer,
        today: Callable[[], date],
    ) -> None:
        """Reads every name of the catalog into memory: six seconds a million names.

        `today` is asked once a question: "last year" depends on it.
        """
        sources = catalog.sources()
        self._reader = QuestionReader(
            grammars,
            read_lexicon(catalog, grammars),
            gazetteer,
            {source.key: (source.title,) for source in sources},
        )
        self._offered = Offered(
            licences=tuple(licence.code for licence in catalog.licences()),
            layers=layers,
            gazetteer=gazetteer,
        )
        self._today = today

    def understand(self, text: str, asked: Filter, reading: Reading) -> Understood:
        """What the words say and the filter that follows, `asked` among it."""
        if not reading.interpret:
            return Understood(Interpretation(text=text, scene_text=text, spans=[]), asked)
        spans = self._reader.read(text, self._today())
        return apply_spans(text, spans, asked, reading, self._offered)


def open_reading(
    catalog: Catalog,
    layers: Layers,
    *,
    grammars: str,
    places: str,
    people_per_km2: float,
    gazetteer: Gazetteer | None,
) -> tuple[Gazetteer, Understanding]:
    """What reads questions about a bundle, with an operator's own grammars and places.

    `grammars` and `places` are paths, or "" for none; by `people_per_km2` towns reach so far. A
    `gazetteer` that was opened before is used on. Raises GrammarError or PlacesError, naming the
    file at fault.
    """
    spoken = read_grammars(Path(grammars) if grammars else None)
    if gazetteer is None:
        languages = [grammar.language for grammar in spoken]
        gazetteer = read_gazetteer(languages, Path(places) if places else None, people_per_km2)
    # Names that the layers of an earlier state brought go with it.
    gazetteer = gazetteer.base.with_places(places_of(layers, gazetteer.base))
    return gazetteer, Understanding(catalog, layers, spoken, gazetteer, _today)


def _today() -> date:
    return datetime.now(UTC).date()


def read_lexicon(catalog: Catalog, grammars: Sequence[Grammar]) -> TaxonLexicon:
    """Every name of the catalog's taxa."""
    taxa = catalog.table(_TAXA)
    names = catalog.table(_NAMES)
    return TaxonLexicon(
        NameColumns(
            name=names["name"].tolist(),
            taxon_id=np.asarray(names["taxon_id"], np.int32),
            is_scientific=np.asarray(names["is_scientific"], bool),
            scientific_name=taxa["scientific_name"].tolist(),
            rank=taxa["rank"].tolist(),
            last_descendant=np.asarray(taxa["last_descendant"], np.int32),
            images=np.asarray(taxa["images"], np.int64),
        ),
        irregular={
            plural: singular
            for grammar in grammars
            for plural, singular in grammar.plural.irregular.items()
        },
        joins=sorted({join for grammar in grammars for join in grammar.words.joins}),
        not_names=frozenset[str]().union(*(grammar.words.not_names for grammar in grammars)),
    )
