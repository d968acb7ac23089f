"""Walks through all pages of a question, as a client does."""

from __future__ import annotations

import msgspec

from atlas.search.retrieval import Page, Question, Retrieval


def walk(retrieval: Retrieval, question: Question, limits: list[int]) -> list[Page]:
    """Every page, from the first to the one without a next; `limits` are taken in turn."""
    pages = [retrieval.search(question)]
    while (cursor := pages[-1].next_cursor) is not None:
        limit = limits[len(pages) % len(limits)]
        pages.append(
            retrieval.search(msgspec.structs.replace(question, cursor=cursor, limit=limit))
        )
    return pages
