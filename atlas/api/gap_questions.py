"""Asks about gaps: reads the question, has the survey answer it, and says how it was understood.

A text becomes the taxa of the photos that it finds. What takes time runs in threads, never on the
event loop. The command line and the API use the same object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import msgspec

from atlas.api.gap_schemas import GapAnswer, GapCellAnswer, Understood, cell_answer
from atlas.api.records import as_record
from atlas.api.schemas import Interpretation
from atlas.api.workers import BoundedPool
from atlas.bundle import Bundle
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery
from atlas.geo.cells import parse_cell
from atlas.geo.land import land_share
from atlas.geo.layers import Layers
from atlas.geo.shapes import BoundingBox, Polygon
from atlas.species.gap_answers import GapRanking, GapTaxon
from atlas.species.gap_area import Shape
from atlas.species.gap_detail import GapDetails
from atlas.species.gap_survey import GapMap, GapQuestion, GapSurvey
from atlas.species.gaps import STATES, GapSettings, SamplingState
from atlas.species.maps import Maps
from atlas.species.surroundings import Surroundings
from atlas.species.taxa import ROOT
from atlas.species.unrecorded import UnrecordedSpecies

if TYPE_CHECKING:
    # It brings the encoder and the index, seconds that a question without words need not wait.
    from atlas.api.gap_texts import TextTaxa

MAX_GAPS = 10_000
P = ParamSpec("P")
T = TypeVar("T")


class AskedGaps(msgspec.Struct, frozen=True, kw_only=True):
    """A question about gaps as a client puts it: at most one of `taxon` and `text`."""

    taxon: int | None = None
    text: str | None = None
    bbox: str | None = None
    polygon: str | None = None
    resolution: int = 4
    states: tuple[str, ...] = ()
    limit: int = 50


class AskedTaxa(msgspec.Struct, frozen=True):
    """Taxa with their weights, and of a text the photos that they were read from."""

    weights: dict[int, float]
    photos: int | None = None
    read: int | None = None
    interpretation: Interpretation | None = None


class GapQuestions:
    """Gaps of one open atlas."""

    def __init__(
        self,
        survey: GapSurvey,
        details: GapDetails,
        texts: TextTaxa | None,
        catalog: Catalog,
        settings: GapSettings,
        searches: BoundedPool | None,
    ) -> None:
        self._survey = survey
        self._searches = searches
        self._details = details
        self._texts = texts
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
        texts: TextTaxa | None = None,
        searches: BoundedPool | None = None,
    ) -> GapQuestions:
        """Gaps of a bundle's catalog; without `texts` no text can be read.

        Surveys run in the pool of searches, where there is one: their arrays take memory, so their
        queue is bounded, too.
        """
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
        return cls(survey, details, texts, catalog, settings, searches)

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
        taxa = AskedTaxa({ROOT if asked.taxon is None else asked.taxon: 1.0})
        if asked.text is not None:
            if self._texts is None:
                raise InvalidQuery("text", "no encoder is open to read it")
            taxa = await self._texts.read(asked.text)
        question = GapQuestion(
            taxa=taxa.weights,
            shape=shape,
            resolution=asked.resolution,
            states=states,
            limit=asked.limit,
        )
        surveyed = await self._run(self._survey.map, question)
        ranking = surveyed.ranking
        understood = Understood(
            text=asked.text,
            photos=taxa.photos,
            read=taxa.read,
            interpretation=taxa.interpretation,
            area="bbox" if asked.bbox else "polygon" if asked.polygon else "the whole earth",
            states=list(states or STATES),
            words=_words(asked, taxa, ranking, self._settings.text_rank),
        )
        whole = {name: getattr(ranking, name) for name in ranking.__struct_fields__}
        return GapAnswer(question=understood, **whole), surveyed

    async def explain(self, cell: str, taxon: int) -> GapCellAnswer:
        """Everything behind one cell's place; InvalidQuery where it is no cell of this atlas."""
        return await self._run(self._explain, parse_cell(cell), taxon)

    async def _run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._searches is None:
            return await asyncio.to_thread(job, *args, **kwargs)
        return await self._searches.run(job, *args, **kwargs)

    def _explain(self, cell: int, taxon: int) -> GapCellAnswer:
        detail = self._details.explain(cell, taxon)
        row_ids = {
            seen.row_id for species in detail.unrecorded.species for seen in species.sightings
        }
        rows = self._catalog.images(sorted(row_ids))
        return cell_answer(detail, {row.row_id: as_record(row) for row in rows})


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
    return BoundingBox.parse(asked.bbox, "bbox") if asked.bbox else None


def _states(written: Sequence[str]) -> tuple[SamplingState, ...]:
    unknown = [state for state in written if state not in STATES]
    if unknown:
        raise InvalidQuery("state", f"is one of {', '.join(STATES)}, not {unknown[0]!r}")
    return tuple(state for state in STATES if state in written)


def _words(asked: AskedGaps, taxa: AskedTaxa, ranking: GapRanking, rank: str) -> str:
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
