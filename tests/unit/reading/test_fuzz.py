"""Whatever is typed, reading ends, and its offsets fit the question."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.reading.reader import QuestionReader
from tests.unit.reading.conftest import TODAY

WORDS = """
near within of in the a 20 km 1,000 m ft -3 rivers coast Georgia Costa Rica Turkey Java sparrow
frogs Hylidae May 2019 2010-2014 last years since before 31 February summer wet season CC BY 4.0
at night and , ; . ( ) cerca de ríos en México entre y mayo ΐ ﬁ İ ß e\u0301 😀 - ' 9 0 1.5.3 20km
0000 1999s 99999999999999999999 half 10 000 hasta últimos años
"""
PIECES = st.sampled_from([*WORDS.split(), "\u200b", "half a"])


def check(reader: QuestionReader, text: str) -> None:
    """Offsets are inside, in order, apart, and around whole non-blank stretches."""
    spans = reader.read(text, TODAY)
    assert spans == reader.read(text, TODAY)
    end = 0
    for span in spans:
        assert end <= span.start < span.end <= len(text)
        words = text[span.start : span.end]
        assert words.strip() == words
        assert 0 <= span.confidence <= 1
        end = span.end


@settings(max_examples=300)
@given(text=st.text(max_size=80))
def test_any_text(reader: QuestionReader, text: str) -> None:
    """Letters that fold to two, marks that fold to none, and what is no letter at all."""
    check(reader, text)


@settings(max_examples=500)
@given(pieces=st.lists(PIECES, max_size=20), gap=st.sampled_from([" ", "  ", "\t", "\n", ", "]))
def test_any_heap_of_words(reader: QuestionReader, pieces: list[str], gap: str) -> None:
    """Words of the grammar in any order meet readings that no sentence would."""
    check(reader, gap.join(pieces))


def test_a_long_question_takes_no_longer_than_it_is(reader: QuestionReader) -> None:
    """A thousand letters made to be ambiguous must not take seconds."""
    for piece in ("in the ", "near ", "Costa ", "1 ", "May and ", "within 1 km of ", "san "):
        check(reader, (piece * 500)[:1000])
