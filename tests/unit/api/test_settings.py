"""Settings from a file and from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from atlas.settings import Settings, SettingsError, load_settings, override


def test_later_places_win(tmp_path: Path) -> None:
    """Default, then file, then environment; an operator relies on that order."""
    path = tmp_path / "serve.toml"
    path.write_text("[server]\nport = 1\nhost = 'a'\n")
    settings = load_settings(path, {"ATLAS_SERVER__PORT": "2", "ATLAS_SPACES__COMPILE": "true"})
    assert (settings.server.host, settings.server.port) == ("a", 2)
    assert settings.spaces.compile is True
    assert settings.server.log_level == "info"


def test_other_programs_may_use_the_prefix() -> None:
    """A variable without the double underscore is not a setting."""
    assert load_settings(None, {"ATLAS_SHARED_DATA": "/x", "PATH": "/bin"}) == Settings()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[server]\nprot = 1", "prot"),
        ("[sever]\nport = 1", "sever"),
        ("[server]\nport = '1'", "$.server.port"),
        ("[server]\nport = 70000", "65535"),
        ("[search]\nprobes = 0", "probes"),
        ("[bundle]\nverify = 'never'", "verify"),
        ("[page]\ntiles = 'https://a.org/{z}/{x}.png'\nattribution = 'A'", "{y}"),
        ("[page]\ntiles = 'https://a.org/{z}/{x}/{y}.png'", "attribution"),
        ("[page]\nstyle = 'javascript:0'", "is no address"),
        ("[page]\nhosts = ['https://a.org; script-src *']", "is no address"),
        ("not toml", "cannot be read"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: str, named: str) -> None:
    """A misspelt key that is ignored would be a setting that silently does nothing."""
    path = tmp_path / "serve.toml"
    path.write_text(content)
    with pytest.raises(SettingsError) as error:
        load_settings(path, {})
    assert str(path) in str(error.value)
    assert named in str(error.value)


@pytest.mark.parametrize(
    "variable",
    [{"ATLAS_SERVER__PRT": "1"}, {"ATLAS_SEVER__PORT": "1"}, {"ATLAS_SERVER__PORT": "many"}],
)
def test_bad_variables_are_refused(variable: dict[str, str]) -> None:
    """The message names the variable, not only the key."""
    with pytest.raises(SettingsError) as error:
        load_settings(None, variable)
    assert next(iter(variable)) in str(error.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A wrong path must not mean defaults."""
    with pytest.raises(SettingsError, match="missing"):
        load_settings(tmp_path / "none.toml", {})


def test_override_checks_and_keeps() -> None:
    """Options that are not given leave the file's values; bad ones are refused."""
    settings = override(Settings(), "server", port=9, host=None)
    assert (settings.server.port, settings.server.host) == (9, "127.0.0.1")
    with pytest.raises(SettingsError, match="65535"):
        override(settings, "server", port=99_999)
