"""Reads a text as taxa: those of the photos that a search for it finds.

Any thread; the search is asked as every search is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from atlas.api.gap_questions import AskedTaxa
from atlas.api.questions import Questions
from atlas.api.search_requests import Search
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery
from atlas.species.gaps import GapSettings

_GROUPS = """
    SELECT t.taxon_id, coalesce(a.taxon_id, t.taxon_id) AS grp,
        coalesce(a.last_descendant, t.last_descendant) AS last
    FROM taxon t LEFT JOIN (SELECT * FROM taxon WHERE rank = ?) a
        ON a.taxon_id <= t.taxon_id AND a.last_descendant >= t.taxon_id
    WHERE t.taxon_id IN (SELECT unnest(?::INTEGER[])) ORDER BY t.taxon_id
"""


class TextTaxa:
    """Texts of one open atlas."""

    def __init__(self, questions: Questions, catalog: Catalog, settings: GapSettings) -> None:
        self._questions = questions
        self._catalog = catalog
        self._settings = settings

    async def read(self, text: str) -> AskedTaxa:
        """The taxa of the photos that a text finds, weighted by their photos, the first with 1.

        InvalidQuery where it finds none; errors of the search as they are.
        """
        answer = await self._questions.ask(Search(text=text, limit=self._settings.text_hits))
        found = Counter(hit.taxon.taxon_id for hit in answer.hits)
        if not found:
            raise InvalidQuery("text", "the search finds no photo, so no taxon to rank gaps for")
        groups = await asyncio.to_thread(self._groups, list(found))
        shares: Counter[int] = Counter()
        for taxon_id, group in groups.items():
            shares[group] += found[taxon_id]
        chosen = shares.most_common(self._settings.text_taxa)
        most = chosen[0][1]
        return AskedTaxa(
            {taxon_id: photos / most for taxon_id, photos in chosen},
            photos=len(answer.hits),
            read=sum(photos for _, photos in chosen),
            interpretation=answer.interpretation,
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
