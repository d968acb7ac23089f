"""Build plans: what they accept, what they refuse and where they say it is."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from atlas.errors import PlanError
from indexer import plan_sections
from indexer.plan import Plan, read_plan
from indexer.plan_sections import EmbeddingsSection, FolderSection, Section

PLAN = """\
[atlas]
title = "Frogs"

[output]
bundle = "out/bundle"

[[sources]]
kind = "folder"
key = "frogs"
title = "Frog photos"
path = "photos"
records = "records.csv"

[[spaces]]
name = "tiny"
encoder = "local-dir:model"

[spaces.prompts]
query = "a photo of {text}"

[index]
exact_below = 5
"""
READY = """\
[atlas]
title = "Ready"

[output]
bundle = "out"

[[sources]]
kind = "embeddings"
key = "ready"
title = "Ready vectors"
path = "*.parquet"
space = "bioclip2"

[[spaces]]
name = "bioclip2"
"""


def written(tmp_path: Path, text: str, name: str = "plan.toml") -> Path:
    """Write a plan file."""
    path = tmp_path / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def test_paths_start_at_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break: a plan works from one current folder only."""
    path = written(tmp_path, PLAN)
    monkeypatch.chdir(tmp_path.parent)
    plan = read_plan(path.relative_to(tmp_path.parent))
    source = plan.sources[0]
    assert isinstance(source, FolderSection)
    assert source.path == tmp_path / "photos"
    assert source.records == tmp_path / "records.csv"
    assert plan.output.bundle == tmp_path / "out/bundle"
    assert plan.output.work_folder() == tmp_path / "out/bundle.work"
    assert plan.spaces[0].encoder == f"local-dir:{tmp_path / 'model'}"
    assert plan.spaces[0].prompts.query == "a photo of {text}"


def test_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    """Would break: a plan that says little builds something else than the pages promise."""
    plan = read_plan(written(tmp_path, READY))
    assert isinstance(plan.sources[0], EmbeddingsSection)
    assert plan.cells.resolution == 7
    assert plan.index.factory == "auto"
    assert plan.index.exact_below == 100_000
    assert plan.media.host == ()
    assert plan.measure.recall_target == 0.95
    assert plan.taxa.ranks[0] == "kingdom"
    assert plan.taxa.ranks[-1] == "species"


@pytest.mark.parametrize(
    ("before", "after", "line", "problem"),
    [
        ("exact_below = 5", "exact_below = -5", 22, "exact_below"),
        ("exact_below = 5", 'exact_below = "5"', 22, "exact_below"),
        ("exact_below = 5", "exact = 5", 22, "unknown field `exact`"),
        ('kind = "folder"', 'kind = "zip"', 8, "'zip'"),
        ('key = "frogs"', 'key = "Frogs/1"', 9, "`key`"),
        ('title = "Frog photos"\n', "", 7, "`title`"),
        ('bundle = "out/bundle"', "bundle = 3", 5, "output.bundle"),
        ('bundle = "out/bundle"', 'bundle = ""', 5, "output.bundle"),
        ('bundle = "out/bundle"', 'bundle = "b"\nwork = "b/w"', 6, "`work`"),
        ('bundle = "out/bundle"', 'bundle = "b/c"\nwork = "b"', 6, "`work`"),
        ("[[sources]]", "[[source]]", 7, "unknown field `source`"),
        ("[atlas]", "path = 'x'\n[atlas]", 1, "'path'"),
        ('name = "tiny"', 'name = "tiny"\ndtype = "float8"', 16, "dtype"),
        ('name = "tiny"', 'name = "tiny"\nbatch_size = 0', 16, "batch_size"),
        ('name = "tiny"', 'name = "tiny"\nfingerprint = "beef"', 16, "`fingerprint`"),
        ('query = "a photo of {text}"', 'query = "a photo"', 18, "{text}"),
        ("exact_below = 5", "exact_below = = 5", 22, "not valid TOML"),
        ("exact_below = 5", "exact_below = 5\n[cells]\nresolution = 16", 24, "resolution"),
        ("exact_below = 5", '[taxa]\nranks = ["genus", "genus"]', 23, "`ranks`"),
        ("exact_below = 5", "[rejects]\nmax_share = 1.5", 23, "max_share"),
        ("exact_below = 5", "[taxa]\nranks = []", 23, "ranks"),
        ('encoder = "local-dir:model"', 'encoder = ""', 14, "needs an encoder"),
    ],
)
def test_errors_name_file_and_line(
    tmp_path: Path, before: str, after: str, line: int, problem: str
) -> None:
    """Would break: a person has to search the plan for what is wrong with it."""
    assert before in PLAN
    path = written(tmp_path, PLAN.replace(before, after, 1))
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    assert caught.value.path == path
    assert caught.value.line == line
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PLAN + PLAN[PLAN.index("[[sources]]") : PLAN.index("[[spaces]]")], "used twice"),
        (READY.replace('space = "bioclip2"', 'space = "other"'), "'other' only"),
        (READY + '\n[[spaces]]\nname = "second"\nencoder = "x"\n', "no pictures"),
        (READY[: READY.index("[[spaces]]")], "spaces"),
        ("", "`atlas`"),
    ],
)
def test_sections_must_fit_together(tmp_path: Path, text: str, problem: str) -> None:
    """Would break: a build runs for hours before it finds that its plan cannot work."""
    with pytest.raises(PlanError, match=problem):
        read_plan(written(tmp_path, text))


def test_unreadable_plans_are_refused(tmp_path: Path) -> None:
    """Would break: a missing or binary plan ends in a traceback."""
    with pytest.raises(PlanError, match="cannot be read"):
        read_plan(tmp_path / "missing.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match="UTF-8"):
        read_plan(binary)


def test_fingerprint_follows_content_not_place(tmp_path: Path) -> None:
    """Would break: moving a project, or using more workers, changes the bundle's fingerprint."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = read_plan(written(tmp_path / "a", PLAN)).fingerprint()
    assert read_plan(written(tmp_path / "b", PLAN)).fingerprint() == first
    elsewhere = PLAN.replace("out/bundle", "else") + "\n[workers]\ncount = 7\n"
    assert read_plan(written(tmp_path / "a", elsewhere, "c.toml")).fingerprint() == first
    for change in (
        PLAN.replace("records.csv", "other.csv"),
        PLAN.replace("Frogs", "Toads"),
        PLAN.replace("local-dir:model", "local-dir:model2"),
        PLAN + "[cells]\nresolution = 5\n",
    ):
        assert read_plan(written(tmp_path / "a", change, "d.toml")).fingerprint() != first


def test_plans_cannot_change(tmp_path: Path) -> None:
    """Would break: a stage alters a setting that another stage then reads."""
    plan = read_plan(written(tmp_path, PLAN))
    with pytest.raises(AttributeError):
        plan.index.exact_below = 7  # type: ignore[misc]


def sections() -> list[type[Section]]:
    """Every section of a plan, the plan itself included."""
    named = [value for _, value in inspect.getmembers(plan_sections, inspect.isclass)]
    return [Plan, *(value for value in named if issubclass(value, Section))]


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_setting_says_what_it_is_for(section: type[Section]) -> None:
    """Would break: a setting without a word on its meaning."""
    module = inspect.getmodule(section)
    assert module is not None
    tree = ast.parse(inspect.getsource(module))
    body = next(
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == section.__name__
    )
    documented = {
        node.target.id
        for node, after in pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    }
    own = (
        set(section.__annotations__) - {"path"} if section is Plan else set(section.__annotations__)
    )
    assert own <= documented
    assert section.__struct_config__.frozen
    assert section.__struct_config__.forbid_unknown_fields
    assert {field.name for field in msgspec.structs.fields(section)} >= own
