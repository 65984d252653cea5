"""Configuration: precedence, and every problem at once with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import ConfigurationError
from bridge.settings import load_settings


def write(folder: Path, text: str) -> Path:
    path = folder / "fester.yaml"
    path.write_text(text, "utf-8")
    return path


def test_flags_beat_variables_beat_the_file(tmp_path: Path) -> None:
    config = write(
        tmp_path, "from: https://file\nstore: sqlite:///file.db\nevery: 1h\nto: [a, b]\n"
    )
    environment = {"FESTER_FROM": "https://variable", "FESTER_STORE": "sqlite:///variable.db"}
    settings = load_settings({"from": "https://flag"}, config=config, environment=environment)
    assert settings.source == "https://flag"
    assert settings.store == "sqlite:///variable.db"
    assert settings.every == 3600
    assert settings.to == ("a", "b")


def test_sections_merge_between_file_and_variables(tmp_path: Path) -> None:
    config = write(tmp_path, "gitlab:\n  archived: true\n  page_size: 10\n")
    environment = {"FESTER_GITLAB__PAGE_SIZE": "20", "FESTER_GITLAB__EXCLUDE": "a/**, b"}
    settings = load_settings({}, config=config, environment=environment)
    assert settings.gitlab.archived
    assert settings.gitlab.page_size == 20
    assert settings.gitlab.exclude == ("a/**", "b")


def test_a_variable_for_a_whole_section_is_a_problem_and_no_crash() -> None:
    environment = {"FESTER_GUARD": "x", "FESTER_GUARD__SHARE": "0.5"}
    with pytest.raises(ConfigurationError, match="variable FESTER_GUARD"):
        load_settings({}, environment=environment)


def test_all_problems_come_at_once_each_with_its_place(tmp_path: Path) -> None:
    config = write(tmp_path, "form: x\nevery: soon\ngitlab:\n  page_sise: 3\n  concurrency: 0\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"port": 99999}, config=config, environment={"FESTER_STOER": "x"})
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 6
    assert any(f"{config}:1:1" in s and "did you mean `from`" in s for s in said)
    assert any(f"{config}:2:1" in s and "10m" in s for s in said)
    assert any(f"{config}:4:3" in s and "did you mean `page_size`" in s for s in said)
    assert any(f"{config}:5:3" in s and "greater than or equal to 1" in s for s in said)
    assert any("--port" in s for s in said)
    assert any("FESTER_STOER" in s and "`store`" in s for s in said)


def test_what_a_command_needs_is_named_with_the_ways_to_give_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, environment={}, need=("from", "to"), config=None)
    assert len(caught.value.problems) == 2
    assert "--from" in str(caught.value.problems[0])
    assert "FESTER_FROM" in str(caught.value.problems[0])


def test_a_token_in_the_file_is_refused_and_never_shown(tmp_path: Path) -> None:
    config = write(tmp_path, "token: glpat-very-secret\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, config=config, environment={})
    assert "GITLAB_TOKEN" in str(caught.value)
    assert "very-secret" not in str(caught.value)


def test_the_token_does_not_show_in_the_settings_repr() -> None:
    settings = load_settings({}, environment={"GITLAB_TOKEN": "glpat-very-secret"})
    assert settings.token is not None
    assert settings.token.get_secret_value() == "glpat-very-secret"
    assert "very-secret" not in repr(settings)
    assert "very-secret" not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\n", "not YAML"),
        ("- a\n", "`key: value`"),
        ("\x00", "cannot be read"),
        ("a: 1\na: 2\n", "duplicate"),
    ],
)
def test_a_file_that_is_no_settings_file_says_so(tmp_path: Path, text: str, said: str) -> None:
    config = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, config=config, environment={})
    assert said in str(caught.value)
    assert str(config) in str(caught.value)


def test_a_missing_config_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read"):
        load_settings({}, config=tmp_path / "nowhere.yaml", environment={})


def test_access_needs_what_it_builds_on(tmp_path: Path) -> None:
    """Unknown scopes, hashes, origins and a missing address of Backstage: each at its place."""
    config = write(
        tmp_path,
        "access:\n"
        "  tokens:\n"
        "    - {name: ci, sha256: short, scope: [read]}\n"
        "  public: [everything]\n"
        "  origins: ['*']\n",
    )
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, config=config, environment={})
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 4
    assert any("did you mean `scopes`" in s for s in said)
    assert all(f"{config}:" in s for s in said)
    config = write(tmp_path, "backstage: {refresh: true}\naccess:\n  backstage_users: true\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, config=config, environment={})
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 3
    assert any("FESTER_BACKSTAGE_TOKEN" in s for s in said)
    assert sum("backstage.url" in s for s in said) == 2


def test_backstages_token_comes_from_its_variable_and_is_never_shown(tmp_path: Path) -> None:
    config = write(tmp_path, "backstage: {url: 'https://backstage.example', refresh: true}\n")
    environment = {"FESTER_BACKSTAGE_TOKEN": "very-secret"}
    settings = load_settings({}, config=config, environment=environment)
    assert settings.backstage_token is not None
    assert settings.backstage_token.get_secret_value() == "very-secret"
    assert "very-secret" not in f"{settings!r} {settings.model_dump_json()}"


def test_a_teams_webhook_is_named_in_the_file_and_comes_from_the_environment(
    tmp_path: Path,
) -> None:
    """Its address is a secret: never in a file, a report or a representation."""
    config = write(tmp_path, "remediation:\n  webhooks:\n    crew: FESTER_DIGEST_WEBHOOK_CREW\n")
    environment = {"FESTER_DIGEST_WEBHOOK_CREW": "https://hooks.example/secret-path"}
    settings = load_settings({}, config=config, environment=environment)
    assert settings.team_webhooks["crew"].get_secret_value().endswith("secret-path")
    assert "secret-path" not in repr(settings) + settings.model_dump_json()
    with pytest.raises(ConfigurationError) as missing:
        load_settings({}, config=config, environment={})
    (problem,) = missing.value.problems
    assert (problem.line, "FESTER_DIGEST_WEBHOOK_CREW is not set" in problem.message) == (3, True)
    wrong = write(
        tmp_path, "team_webhooks: {crew: x}\nremediation: {webhooks: {crew: 'https://x'}}\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        load_settings({}, config=wrong, environment={})
    assert "a secret must not stand in a file" in refused.value.problems[0].message
    assert len(refused.value.problems) == 2
