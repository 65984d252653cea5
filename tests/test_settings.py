"""Configuration: precedence, and every problem at once with its place."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.errors import ConfigurationError
from bridge.secret.masks import masked
from bridge.settings import load_settings
from bridge.settings.ox import SnykSettings


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
        ("a: [1\n", "a `,` or `]` is missing"),
        ("- a\n", "`key: value`"),
        ("\x00", "save it as UTF-8"),
        ("a: 1\na: 2\n", "stands here a second time"),
        ("a: &b 1\nc: *b\n", "anchor"),
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


VARIABLES = {
    "GITLAB_TOKEN": "token",
    "FESTER_BACKSTAGE_TOKEN": "backstage_token",
    "SNYK_TOKEN": "snyk_token",
    "PAGERDUTY_TOKEN": "pagerduty_token",
    "OPSGENIE_TOKEN": "opsgenie_token",
    "JSM_TOKEN": "jsm_token",
    "FESTER_WEBHOOK_TOKEN": "webhook_token",
    "FESTER_WEBHOOK_SIGNING_KEY": "webhook_signing_key",
    "FESTER_DIGEST_WEBHOOK": "digest_webhook",
}
GOOD = {
    "FESTER_WEBHOOK_SIGNING_KEY": "whsec_c2VjcmV0LWtleQ==",
    "FESTER_DIGEST_WEBHOOK": "https://hooks.example/services/T00/B00",
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_secret_is_trimmed_wherever_it_comes_from(variable: str, tmp_path: Path) -> None:
    value = GOOD.get(variable, "glpat-very-secret")
    file = tmp_path / "secret"
    file.write_text(f"{value}\n")
    for environment in ({variable: f" {value}\r\n"}, {f"{variable}_FILE": str(file)}):
        settings = load_settings({}, environment=environment)
        secret = getattr(settings, VARIABLES[variable])
        assert secret.get_secret_value() == value
        assert value not in f"{settings!r} {settings.model_dump_json()}"
    assert settings.secret_files == {VARIABLES[variable]: file}


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("bad", ["very-secret\nX-Evil: 1", "very-sécret", "\x1bvery-secret", " \n"])
def test_a_secret_that_no_header_carries_is_refused_in_one_line(
    variable: str, bad: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(bad)
    for environment in ({variable: bad}, {f"{variable}_FILE": str(file)}):
        with pytest.raises(ConfigurationError) as refused:
            load_settings({}, environment=environment)
        (problem,) = refused.value.problems
        assert variable in problem.file
        assert "very-s" not in str(problem)
        assert "\n" not in str(problem)


def test_files_of_secrets_that_are_not_there_or_come_beside_the_variable_are_named(
    tmp_path: Path,
) -> None:
    environment = {
        "GITLAB_TOKEN_FILE": str(tmp_path / "nowhere"),
        "SNYK_TOKEN": "a-secret",
        "SNYK_TOKEN_FILE": str(tmp_path / "nowhere"),
    }
    with pytest.raises(ConfigurationError) as refused:
        load_settings({}, environment=environment)
    said = "\n".join(sorted(str(problem) for problem in refused.value.problems))
    assert "variable GITLAB_TOKEN_FILE: the file" in said
    assert "No such file" in said
    assert "SNYK_TOKEN_FILE is set, too" in said
    assert len(refused.value.problems) == 2


def test_a_teams_webhook_may_come_from_a_file(tmp_path: Path) -> None:
    config = write(tmp_path, "remediation:\n  webhooks:\n    crew: FESTER_DIGEST_WEBHOOK_CREW\n")
    (tmp_path / "hook").write_text("https://hooks.example/services/T1\n")
    environment = {"FESTER_DIGEST_WEBHOOK_CREW_FILE": str(tmp_path / "hook")}
    settings = load_settings({}, config=config, environment=environment)
    assert settings.team_webhooks["crew"].get_secret_value() == "https://hooks.example/services/T1"
    assert settings.secret_files == {"crew": tmp_path / "hook"}


def test_the_stores_url_may_come_from_a_file_and_its_password_is_never_shown(
    tmp_path: Path,
) -> None:
    (tmp_path / "url").write_text("postgresql://fester:s3cr%40t-word@db/fester\n")
    settings = load_settings({}, environment={"FESTER_STORE_FILE": str(tmp_path / "url")})
    assert settings.store == "postgresql://fester:s3cr%40t-word@db/fester"
    assert masked("password s3cr@t-word, or s3cr%40t-word") == "password ***, or ***"
    with pytest.raises(ConfigurationError, match="control characters"):
        load_settings({}, environment={"FESTER_STORE": "postgresql://u:x\ny@db/fester"})


@pytest.mark.parametrize("token", ["gldt-abc", "glcbt-64_abc", "glrt-abc", "glptt-abc"])
def test_a_token_that_cannot_read_the_api_is_refused_with_what_to_use_instead(token: str) -> None:
    with pytest.raises(ConfigurationError, match="scope read_api") as refused:
        load_settings({}, environment={"GITLAB_TOKEN": token})
    assert token not in str(refused.value)


def test_a_command_is_asked_for_the_secrets_that_it_uses_and_no_others(tmp_path: Path) -> None:
    config = write(
        tmp_path,
        "backstage: {url: 'https://backstage.example', refresh: true}\n"
        "remediation: {webhooks: {crew: FESTER_DIGEST_WEBHOOK_CREW}}\n",
    )
    environment = {"GITLAB_TOKEN": "broken token"}
    settings = load_settings({}, config=config, environment=environment, uses=())
    assert settings.backstage.refresh
    assert settings.token is None
    with pytest.raises(ConfigurationError) as refused:
        load_settings({}, config=config, environment=environment)
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize("place", ["file", "variable", "flag"])
def test_a_time_without_a_unit_is_asked_for_one(tmp_path: Path, place: str) -> None:
    config = write(tmp_path, "every: 10\n" if place == "file" else "")
    environment = {"FESTER_EVERY": "10"} if place == "variable" else {}
    with pytest.raises(ConfigurationError) as refused:
        load_settings(
            {"every": "10" if place == "flag" else None}, config=config, environment=environment
        )
    (problem,) = refused.value.problems
    assert "`every`: 10 of what? Write the unit: 10s, 10m or 10h" in problem.message


def test_a_list_in_a_variable_is_no_json() -> None:
    with pytest.raises(ConfigurationError, match="commas between them"):
        load_settings({}, environment={"FESTER_TO": '["a", "b"]'})
    settings = load_settings({}, environment={"FESTER_GITLAB__EXCLUDE": "[ab]/**,c"})
    assert settings.gitlab.exclude == ("[ab]/**", "c")


def test_a_value_that_yaml_takes_for_a_comment_is_said_in_one_line(tmp_path: Path) -> None:
    config = write(
        tmp_path,
        "mappings:   # none\n"
        "remediation:\n  label: #ox\n  owners:\n    crew:\n      mention: #delivery\n",
    )
    with pytest.raises(ConfigurationError) as refused:
        load_settings({}, config=config, environment={})
    assert [str(problem) for problem in refused.value.problems] == [
        f"{config}:3:3: `remediation.label` is empty, for YAML takes #ox for a comment; "
        "write '#ox' in quotes",
        f"{config}:6:7: `remediation.owners.crew.mention` is empty, for YAML takes #delivery for "
        "a comment; write '#delivery' in quotes",
    ]


def test_the_samples_of_who_may_ask_open_no_door(tmp_path: Path) -> None:
    """What the guide shows does not load when it is pasted, nor does what it once showed."""
    pasted = '{name: ci, sha256: "PASTE WHAT fester token PRINTED", scopes: [read]}'
    foo = sha256(b"foo").hexdigest()
    for token, said in ((pasted, "64 hexadecimal"), (f"{{name: ci, sha256: {foo}}}", "everybody")):
        config = write(tmp_path, f"access:\n  tokens:\n    - {token}\n")
        with pytest.raises(ConfigurationError, match=said):
            load_settings({}, config=config, environment={})


AUDIT = "changes:\n  receivers:\n    - {name: audit, url: 'https://audit.example.com/in'}\n"
SIGNS = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def test_a_receivers_secret_comes_from_its_variable_or_file_and_is_never_shown(
    tmp_path: Path,
) -> None:
    config = write(tmp_path, AUDIT)
    (tmp_path / "secret").write_text(f"{SIGNS}\n")
    for environment in (
        {"FESTER_RECEIVER_SECRET_AUDIT": SIGNS},
        {"FESTER_RECEIVER_SECRET_AUDIT_FILE": str(tmp_path / "secret")},
    ):
        settings = load_settings({}, config=config, environment=environment)
        assert settings.receiver_secrets["audit"].get_secret_value() == SIGNS
        assert SIGNS not in repr(settings) + settings.model_dump_json()
    assert masked(f"it said {SIGNS}") == "it said ***"


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "FESTER_RECEIVER_SECRET_AUDIT is not set"),
        ("hunter2", "expected whsec_ and then 24 to 64 random bytes"),
        ("whsec_c2hvcnQ=", "expected whsec_ and then 24 to 64 random bytes"),
    ],
)
def test_nothing_is_sent_unsigned_or_signed_with_a_weak_secret(
    tmp_path: Path, secret: str, said: str
) -> None:
    environment = {"FESTER_RECEIVER_SECRET_AUDIT": secret}
    with pytest.raises(ConfigurationError, match=said) as refused:
        load_settings({}, config=write(tmp_path, AUDIT), environment=environment)
    assert len(refused.value.problems) == 1
    assert "hunter2" not in str(refused.value)
    load_settings({}, config=write(tmp_path, AUDIT), environment=environment, uses=())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://audit.example.com/in", "expected https://"),
        ("http://169.254.169.254/latest", "expected https://"),
        ("http://localhost.evil.example/in", "expected https://"),
        ("https://user:pass@audit.example.com/in", "no name and password"),
        ("ftp://audit.example.com", "no address"),
        ("https:///in", "no address"),
        ("https://audit.example.com:99999/", "no address"),
    ],
)
def test_a_receivers_address_is_https_or_of_this_machine(
    tmp_path: Path, url: str, said: str
) -> None:
    text = f"changes:\n  receivers:\n    - {{name: audit, url: '{url}'}}\n"
    environment = {"FESTER_RECEIVER_SECRET_AUDIT": SIGNS}
    with pytest.raises(ConfigurationError, match=said):
        load_settings({}, config=write(tmp_path, text), environment=environment)
    for good in ("http://127.0.0.1:9/in", "http://[::1]:9/in", "http://localhost/in"):
        config = write(tmp_path, text.replace(url, good))
        assert load_settings({}, config=config, environment=environment).changes.receivers


def test_two_receivers_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = AUDIT + AUDIT.splitlines()[-1] + "\n"
    with pytest.raises(ConfigurationError, match="two receivers have one name"):
        load_settings({}, config=write(tmp_path, twice), environment={})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"deactivate": True}, "needs `propose_deactivation: true`"),
        ({"tags": {"owner": "a", "tier": "a"}}, "a key of its own"),
        ({"tags": {"owner": "two words"}}, "tags.owner"),
        ({"tags": {"colour": "a"}}, "tags.colour"),
    ],
)
def test_what_is_written_to_snyk_is_said_without_contradiction(given: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SnykSettings.model_validate(given)
