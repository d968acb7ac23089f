"""The table from error to problem document."""

from __future__ import annotations

import inspect

import pytest

from atlas import errors
from atlas.api.problems import describe, field_of
from atlas.errors import AtlasError, InvalidQuery, Overloaded, PictureError


@pytest.mark.parametrize(
    ("message", "field", "problem"),
    [
        ("Expected `int` >= 1 - at `$.limit`", "limit", "Expected `int` >= 1"),
        (
            "Expected `int` <= 12 - at `$.filter.months[1]`",
            "filter.months[1]",
            "Expected `int` <= 12",
        ),
        ("Object contains unknown field `a` - at `$.filter`", "filter.a", None),
        ("Object missing required field `file`", "file", None),
        ("Missing required query parameter 'q' for path /v1/taxa", "q", None),
        ("JSON is malformed", "body", "JSON is malformed"),
    ],
)
def test_field_of_a_message(message: str, field: str, problem: str | None) -> None:
    """The field is read from msgspec's messages; a new wording of theirs must be noticed."""
    found, said = field_of(message)
    assert found == field
    assert said == (problem or message.split(" - at ", maxsplit=1)[0])


def test_every_error_has_a_status() -> None:
    """Foreseen errors of questions are 4xx or 503; what is our fault is 500 and says nothing."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, AtlasError) and kind is not AtlasError
    ]
    ours = {"BundleError", "EncoderError", "PlanError", "BuildError"}
    for kind in kinds:
        signature = inspect.signature(kind)
        values = [
            "secret" if p.annotation != "float" else 2.2 for p in signature.parameters.values()
        ]
        problem, _ = describe(kind(*values))
        if kind.__name__ in ours:
            assert problem.status == 500
            assert "secret" not in problem.detail
        else:
            assert 400 <= problem.status < 500 or problem.status == 503
            assert problem.type.startswith("urn:atlas:problem:")


def test_retry_after_is_whole_seconds_upwards() -> None:
    """The header takes whole seconds; rounding down would bring clients back too early."""
    assert describe(Overloaded("q", 2.2))[1] == {"Retry-After": "3"}
    assert describe(Overloaded("q", 0.01))[1] == {"Retry-After": "1"}


def test_errors_of_the_request_name_the_field() -> None:
    """`field` and `errors` agree."""
    problem, _ = describe(InvalidQuery("filter.taxon", "is unknown"))
    assert (problem.status, problem.field) == (422, "filter.taxon")
    assert problem.errors[0].problem == "is unknown"
    assert describe(PictureError("image_damaged", "broken"))[0].field == "file"


def test_unknown_error_is_plain() -> None:
    """The text of an unforeseen error may hold anything; it is not shown."""
    problem, _ = describe(KeyError("path /etc/secret"))
    assert problem.status == 500
    assert "secret" not in problem.detail
