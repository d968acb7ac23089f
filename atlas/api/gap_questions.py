"""Asks about gaps: reads the question, has the survey answer it, and says how it was understood.

A text becomes the taxa of the photos that it finds. What takes time runs in threads, never on the
event loop. The command line and the API use the same object.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from atlas.api.gap_schemas import GapAnswer, GapCellAnswer, Understood, cell_answer
from atlas.api.params import parse_box
from atlas.api.questions import MAX_TEXT, Questions, Search
from atlas.api.records import as_record
from atlas.bundle import Bundle
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery
from atlas.geo.cells import parse_cell
from atlas.geo.land import land_share
from atlas.geo.layers import Layers
from atlas.geo.shapes import Polygon
from atlas.species.gap_answers import GapRanking, GapTaxon
from atlas.species.gap_area import Shape
from atlas.species.gap_detail import GapDetails
from atlas.species.gap_survey import GapMap, GapQuestion, GapSurvey
from atlas.species.gaps import STATES, GapSettings, SamplingState
from atlas.species.maps import Maps
from atlas.species.surroundings import Surroundings
from atlas.species.taxa import ROOT
from atlas.species.unrecorded import UnrecordedSpecies

MAX_GAPS = 10_000
_GROUPS = """
    SELECT t.taxon_id, coalesce(a.taxon_id, t.taxon_id) AS grp,
        coalesce(a.last_descendant, t.last_descendant) AS last
    FROM taxon t LEFT JOIN (SELECT * FROM taxon WHERE rank = ?) a
        ON a.taxon_id <= t.taxon_id AND a.last_descendant >= t.taxon_id
    WHERE t.taxon_id IN (SELECT unnest(?::INTEGER[])) ORDER BY t.taxon_id
"""


class AskedGaps(msgspec.Struct, frozen=True, kw_only=True):
    """A question about gaps as a client puts it: at most one of `taxon` and `text`."""

    taxon: int | None = None
    text: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None
    bbox: str | None = None
    polygon: str | None = None
    resolution: int = 4
    states: tuple[str, ...] = ()
    limit: int = 50


class _Taxa(msgspec.Struct, frozen=True):
    """Taxa with their weights, and the photos that they were read from."""

    weights: dict[int, float]
    photos: int | None = None
    read: int | None = None


class GapQuestions:
    """Gaps of one open atlas."""

    def __init__(
        self,
        survey: GapSurvey,
        details: GapDetails,
        questions: Questions | None,
        catalog: Catalog,
        settings: GapSettings,
    ) -> None:
        self._survey = survey
        self._details = details
        self._questions = questions
        self._catalog = catalog
        self._settings = settings

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        maps: Maps,
        settings: GapSettings,
        *,
        bundle: Bundle,
        questions: Questions | None = None,
    ) -> GapQuestions:
        """Gaps of a bundle's catalog; without `questions` no text can be read."""
        survey = GapSurvey(
            catalog,
            maps.occupancy,
            target_group=maps.target_groups.of,
            land_share=land_share,
            settings=settings,
            # Data end when the bundle is built: ages count from there.
            as_of=bundle.manifest.built_on,
        )
        surroundings = Surroundings(Layers.of(bundle))
        unrecorded = UnrecordedSpecies(catalog, maps.occupancy, settings, surroundings)
        details = GapDetails(survey, catalog, maps.occupancy, unrecorded, settings)
        return cls(survey, details, questions, catalog, settings)

    async def rank(self, asked: AskedGaps) -> GapAnswer:
        """The cells most worth a visit; InvalidQuery names the field at fault."""
        answer, _ = await self.map(asked)
        return answer

    async def map(self, asked: AskedGaps) -> tuple[GapAnswer, GapMap]:
        """The same with the state of every cell that was ranked."""
        if asked.taxon is not None and asked.text is not None:
            raise InvalidQuery("text", "give taxon or text, not both")
        if not 1 <= asked.limit <= MAX_GAPS:
            raise InvalidQuery("limit", f"must be 1 to {MAX_GAPS}, not {asked.limit}")
        shape = shape_of(asked)
        states = _states(asked.states)
        taxa = _Taxa({ROOT if asked.taxon is None else asked.taxon: 1.0})
        if asked.text is not None:
            taxa = await self._read_text(asked.text)
        question = GapQuestion(
            taxa=taxa.weights,
            shape=shape,
            resolution=asked.resolution,
            states=states,
            limit=asked.limit,
        )
        surveyed = await asyncio.to_thread(self._survey.map, question)
        ranking = surveyed.ranking
        understood = Understood(
            text=asked.text,
            photos=taxa.photos,
            read=taxa.read,
            area="bbox" if asked.bbox else "polygon" if asked.polygon else "the whole earth",
            states=list(states or STATES),
            words=_words(asked, taxa, ranking, self._settings.text_rank),
        )
        whole = {name: getattr(ranking, name) for name in ranking.__struct_fields__}
        return GapAnswer(question=understood, **whole), surveyed

    async def explain(self, cell: str, taxon: int) -> GapCellAnswer:
        """Everything behind one cell's place; InvalidQuery where it is no cell of this atlas."""
        return await asyncio.to_thread(self._explain, parse_cell(cell), taxon)

    def _explain(self, cell: int, taxon: int) -> GapCellAnswer:
        detail = self._details.explain(cell, taxon)
        row_ids = {
            seen.row_id for species in detail.unrecorded.species for seen in species.sightings
        }
        rows = self._catalog.images(sorted(row_ids))
        return cell_answer(detail, {row.row_id: as_record(row) for row in rows})

    async def _read_text(self, text: str) -> _Taxa:
        """The taxa of the photos that a text finds, each weighted by its share of them."""
        if self._questions is None:
            raise InvalidQuery("text", "no encoder is open to read it")
        search = Search(text=text, limit=self._settings.text_hits)
        answer = await self._questions.ask(search)
        found = Counter(hit.taxon.taxon_id for hit in answer.hits)
        if not found:
            raise InvalidQuery("text", "the search finds no photo, so no taxon to rank gaps for")
        groups = await asyncio.to_thread(self._groups, list(found))
        shares: Counter[int] = Counter()
        for taxon_id, group in groups.items():
            shares[group] += found[taxon_id]
        chosen = shares.most_common(self._settings.text_taxa)
        most = chosen[0][1]
        return _Taxa(
            {taxon_id: photos / most for taxon_id, photos in chosen},
            photos=len(answer.hits),
            read=sum(photos for _, photos in chosen),
        )

    def _groups(self, taxon_ids: Sequence[int]) -> dict[int, int]:
        """For each taxon its ancestor-or-self of the rank that texts are read at.

        A taxon that has none stands for itself. One that holds another's group is left out: its
        photos are known too coarsely to say what is meant, and no species may count twice.
        """
        found = self._catalog.table(_GROUPS, [self._settings.text_rank, list(taxon_ids)])
        last = dict(zip(found["grp"].tolist(), found["last"].tolist(), strict=True))
        wide = {group for group, end in last.items() if any(group < other <= end for other in last)}
        pairs = zip(found["taxon_id"].tolist(), found["grp"].tolist(), strict=True)
        return {taxon_id: group for taxon_id, group in pairs if group not in wide}


def shape_of(asked: AskedGaps) -> Shape:
    """The area asked for, None for the whole earth; InvalidQuery names the field at fault."""
    if asked.bbox and asked.polygon:
        raise InvalidQuery("polygon", "give bbox or polygon, not both")
    if asked.polygon:
        try:
            shape = msgspec.json.decode(asked.polygon)
        except msgspec.DecodeError as error:
            raise InvalidQuery("polygon", f"is not JSON: {error}") from error
        return Polygon.from_geojson(shape, field="polygon")
    return parse_box(asked.bbox)


def _states(written: Sequence[str]) -> tuple[SamplingState, ...]:
    unknown = [state for state in written if state not in STATES]
    if unknown:
        raise InvalidQuery("state", f"is one of {', '.join(STATES)}, not {unknown[0]!r}")
    return tuple(state for state in STATES if state in written)


def _words(asked: AskedGaps, taxa: _Taxa, ranking: GapRanking, rank: str) -> str:
    """The question in a sentence."""
    named = ", ".join(_named(taxon, several=len(ranking.taxa) > 1) for taxon in ranking.taxa)
    area = "on the whole earth"
    if asked.bbox:
        area = f"in the box {asked.bbox}"
    elif asked.polygon:
        area = "in the polygon"
    text = ""
    if asked.text is not None:
        text = (
            f" These taxa ({rank} where there is one) are those of {taxa.read} of the first "
            f"{taxa.photos} photos that the words {asked.text!r} find; weights are their shares."
        )
    group = ranking.target_group
    return (
        f"Cells of resolution {ranking.resolution} {area} where a visit would add most for "
        f"{named}; effort is every visit in which {group.scientific_name} were recorded.{text}"
    )


def _named(taxon: GapTaxon, *, several: bool) -> str:
    return (
        f"{taxon.scientific_name} (weight {taxon.weight:.2f})" if several else taxon.scientific_name
    )
