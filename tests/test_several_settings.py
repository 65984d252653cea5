"""`from` as a list: what it may hold, whose token is whose, and what is said of what is wrong."""

from __future__ import annotations

import base64
from pathlib import Path

import jsonschema
import pytest

from bridge.errors import ConfigurationError
from bridge.secret.masks import masked
from bridge.settings import Settings, load_settings, settings_schema
from bridge.settings.ox import group_named
from bridge.wiring.neighbours import secret
from bridge.wiring.sources import each_source

TWO = """\
from:
  - https://gitlab.example.com
  - name: lab-2
    url: https://gitlab.lab.example.com/research
    gitlab: {groups: [tools], concurrency: 2}
gitlab: {archived: true, exclude: ['**/old'], groups: [shop]}
"""


def loaded(folder: Path, text: str, **environment: str) -> Settings:
    config = folder / "fester.yaml"
    config.write_text(text)
    return load_settings({}, config=config, environment=environment)


def problems_of(folder: Path, text: str, **environment: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        loaded(folder, text, **environment)
    return "\n".join(map(str, refused.value.problems))


def test_each_source_has_settings_as_if_it_were_alone(tmp_path: Path) -> None:
    """What is not written for a further one is as for all, but where it lies and its groups."""
    (tmp_path / "lab").write_text("lab-token\n")
    settings = loaded(
        tmp_path, TWO, GITLAB_TOKEN="first-token", GITLAB_TOKEN_LAB_2_FILE=str(tmp_path / "lab")
    )
    assert settings.source == "https://gitlab.example.com"
    first, lab = each_source(settings).values()
    assert list(each_source(settings)) == ["", "lab-2"]
    assert (lab.source, lab.gitlab.groups) == (
        "https://gitlab.lab.example.com/research",
        ("tools",),
    )
    assert (lab.gitlab.archived, lab.gitlab.exclude, lab.gitlab.concurrency) == (
        True,
        ("**/old",),
        2,
    )
    assert (first.gitlab.groups, first.gitlab.concurrency, first.further) == (("shop",), 8, ())
    tokens = [secret(each, "token") for each in (first, lab)]
    assert [token and token() for token in tokens] == ["first-token", "lab-token"]
    (tmp_path / "lab").write_text("rotated-token\n")
    assert masked("lab-token first-token") == "*** ***"
    assert "lab-token" not in repr(settings)


def test_without_a_token_a_further_source_is_asked_as_anybody(tmp_path: Path) -> None:
    """The first one's token is never shown to it."""
    lab = each_source(loaded(tmp_path, TWO, GITLAB_TOKEN="first-token"))["lab-2"]
    assert secret(lab, "token") is None


KEY = "webhook_signing_key"
HOOK_KEYS = ["whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]


def test_each_source_has_its_own_secrets_for_webhooks(tmp_path: Path) -> None:
    """From variables of its own, or their files; without any it has none, whatever others have."""
    (tmp_path / "hook").write_text("lab hook\n")
    settings = loaded(
        tmp_path,
        TWO.replace(
            "gitlab: {archived", "  - {name: bare, url: 'https://bare'}\ngitlab: {archived"
        ),
        FESTER_WEBHOOK_TOKEN="first hook",
        FESTER_WEBHOOK_TOKEN_LAB_2_FILE=str(tmp_path / "hook"),
        FESTER_WEBHOOK_SIGNING_KEY=HOOK_KEYS[0],
        FESTER_WEBHOOK_SIGNING_KEY_LAB_2=HOOK_KEYS[1],
    )
    found = {
        name: [each and each() for each in (secret(one, "webhook_token"), secret(one, KEY))]
        for name, one in each_source(settings).items()
    }
    assert found == {
        "": ["first hook", HOOK_KEYS[0]],
        "lab-2": ["lab hook", HOOK_KEYS[1]],
        "bare": [None, None],
    }
    assert each_source(settings)["lab-2"].secret_files["webhook_token"] == tmp_path / "hook"
    assert masked(f"first hook lab hook {HOOK_KEYS[1]}") == "*** *** ***"
    assert "lab hook" not in f"{settings!r} {settings.model_dump_json()}"


def test_gitlabs_with_one_secret_for_webhooks_are_told_beside_everything_else(
    tmp_path: Path,
) -> None:
    """A hook of one would pass for another's."""
    said = problems_of(
        tmp_path,
        TWO,
        FESTER_WEBHOOK_TOKEN="hook-secret",
        FESTER_WEBHOOK_TOKEN_LAB_2="hook-secret",
        FESTER_WEBHOOK_SIGNING_KEY_LAB_2="no key",
        GITLAB_TOKEN_LAB_2="glrt-abc",
    ).splitlines()
    assert len(said) == 3
    assert any(
        "FESTER_WEBHOOK_TOKEN and FESTER_WEBHOOK_TOKEN_LAB_2 hold one" in one for one in said
    )
    assert any("FESTER_WEBHOOK_SIGNING_KEY_LAB_2" in one for one in said)
    assert "hook-secret" not in "".join(said)


def test_a_secret_of_a_gitlab_that_nobody_named_is_told(tmp_path: Path) -> None:
    """A misspelt one would be as if it were not there; what another program's may be is let be."""
    said = problems_of(
        tmp_path,
        TWO,
        FESTER_WEBHOOK_TOKEN_LABB_2="secret-text",
        FESTER_WEBHOOK_SIGNING_KEY_OTHER_FILE="/nowhere",
        GITLAB_TOKEN_LAB2="a-token",
        GITLAB_TOKEN_DEPLOY="another",
        GITLAB_TOKEN_FILE_SERVER="another",
    ).splitlines()
    assert len(said) == 3
    misspelt = "no further item of `from` has the name that FESTER_WEBHOOK_TOKEN_LABB_2 ends with"
    assert any(f"{misspelt}; did you mean FESTER_WEBHOOK_TOKEN_LAB_2?" in one for one in said)
    assert any("SIGNING_KEY_OTHER_FILE ends with; give it the name of one" in e for e in said)
    assert any("did you mean GITLAB_TOKEN_LAB_2?" in each for each in said)
    assert "secret-text" not in "".join(said)
    # One that has its own token leaves the others to whoever reads them.
    own = {"GITLAB_TOKEN_LAB_2": "a-token", "GITLAB_TOKEN_LAB2": "another"}
    assert loaded(tmp_path, TWO, **own).source_secrets["lab-2"]["token"]


def test_what_is_of_a_gitlab_that_a_flag_leaves_out_is_not_refused(tmp_path: Path) -> None:
    """`fester explain … --from` asks of one GitLab; the file and the pod's secrets are for all."""
    config = tmp_path / "fester.yaml"
    config.write_text(f"{TWO}remediation: {{groups: {{'lab-2:x': {{}}}}}}\n")
    environment = {"FESTER_WEBHOOK_TOKEN_LAB_2": "secret-text", "FESTER_WEBHOOK_TOKEN_OLD": ""}
    for flags, more in (
        ({"from": "https://gitlab.example.com"}, {}),
        ({}, {"FESTER_FROM": "https://gitlab.example.com"}),
    ):
        assert not load_settings(flags, config=config, environment=environment | more).further
    config.write_text(config.read_text().replace("lab-2:x", "lab:x"))
    with pytest.raises(ConfigurationError, match="no item of `from` is called lab;"):
        load_settings({"from": "https://gitlab.example.com"}, config=config, environment={})


def test_two_gitlabs_may_share_a_host(tmp_path: Path) -> None:
    """On ports, or below paths that `gitlab.url` tells."""
    for other in (
        "{name: b, url: 'https://a:8443'}",
        "{name: b, url: 'https://a/git', gitlab: {url: 'https://a/git'}}",
    ):
        assert loaded(tmp_path, f"from: [https://a, {other}]\n").further[0].name == "b"


def test_a_list_of_one_is_that_one(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "from: [https://gitlab.example.com]\n")
    assert (settings.source, settings.further) == ("https://gitlab.example.com", ())


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ("[{name: a, url: 'https://a'}]", "the first item is a URL alone"),
        ("[https://a, https://b]", "every item after the first has a name and a url"),
        ("[https://a, {url: 'https://b'}]", "`from.name`: field required"),
        ("[https://a, {name: B, url: 'https://b'}]", "`from.name`: string should match"),
        ("[https://a, {name: b, url: ./b}]", "`from.url`: string should match"),
        ("[./a, {name: b, url: 'https://b'}]", "a folder stands alone"),
        ("[https://a, {name: b, url: 'https://A/x'}]", "two items of `from` are one GitLab"),
        ("[https://a, {name: b, url: 'https://a:443/x'}]", "two items of `from` are one GitLab"),
        (
            "[https://a, {name: b, url: 'https://a/x', gitlab: {url: 'https://a'}}]",
            "two items of `from` are one GitLab",
        ),
        (
            "[https://a/git/x, {name: b, url: 'https://a/git/', gitlab: {url: 'https://a/git'}}]",
            "two items of `from` are one GitLab",
        ),
        (
            "[https://a, {name: b, url: 'https://b'}, {name: b, url: 'https://c'}]",
            "two sources have one name",
        ),
        ("[https://a, {name: my-file, url: 'https://b'}]", "a variable that names a file"),
        ("[https://a, {name: first, url: 'https://b'}]", "what the list's first item is called"),
        ("[https://a, {nam: b, url: 'https://b'}]", "did you mean `name`?"),
        (
            "[https://a, {name: b, url: 'https://b/x', gitlab: {url: 'https://c'}}]",
            "`url` does not lie under it",
        ),
        ("[https://a, {name: b, url: 'https://b', gitlab: {page_size: 0}}]", "page_size"),
    ],
)
def test_what_is_wrong_with_a_list_is_told_with_its_line(
    tmp_path: Path, items: str, said: str
) -> None:
    text = problems_of(tmp_path, f"from: {items}\n")
    assert said in text
    assert "fester.yaml:1:1" in text


def test_groups_of_several_gitlabs_are_named_with_their_gitlab(tmp_path: Path) -> None:
    """With one GitLab a path says it all. What cannot be told is said before anything is done."""
    groups = "remediation: {groups: {'first:shop': {}, 'lab-2:shop/x': {}, shop: {}, 'lab:x': {}}}"
    said = problems_of(tmp_path, f"{TWO}{groups}\n")
    assert "`remediation.groups.shop`: several GitLabs are read; write whose group it is" in said
    assert "no item of `from` is called lab; write whose group it is: first:x, lab-2:x" in said
    assert len(said.splitlines()) == 2
    assert "fester.yaml:7:" in said
    alone = problems_of(tmp_path, f"from: https://a\n{groups}\n")
    assert "`remediation.groups.lab:x`: no item of `from` is called lab; write whose" in alone
    assert alone.splitlines()[1].endswith("whose group it is: x")
    assert len(alone.splitlines()) == 2  # first:shop and shop are its own
    named = [group_named(one) for one in ("first:shop", "lab-2:/shop/x/", "shop")]
    assert named == [("", "shop"), ("lab-2", "shop/x"), ("", "shop")]


def test_what_stands_behind_the_list_cannot_be_written(tmp_path: Path) -> None:
    assert "`further` is not a setting" in problems_of(tmp_path, "further: []\n")
    assert "GITLAB_TOKEN_…" in problems_of(tmp_path, "source_secrets: {a: b}\n")
    with pytest.raises(ConfigurationError, match="FESTER_FURTHER"):
        load_settings({}, environment={"FESTER_FURTHER": "x"})


def test_a_token_that_cannot_be_used_is_told_by_its_variable(tmp_path: Path) -> None:
    config = tmp_path / "fester.yaml"
    config.write_text(TWO)
    with pytest.raises(ConfigurationError, match=r"GITLAB_TOKEN_LAB_2.*scope read_api") as refused:
        load_settings({}, config=config, environment={"GITLAB_TOKEN_LAB_2": "glrt-abc"})
    assert "glrt-abc" not in str(refused.value)


def test_editors_know_the_list(tmp_path: Path) -> None:
    """The schema takes what the settings take, and nothing of it that is not written in files."""
    schema = settings_schema()
    lab = {"name": "lab", "url": "https://b", "gitlab": {"groups": ["x"]}}
    jsonschema.validate({"from": "https://a"}, schema)
    jsonschema.validate({"from": ["https://a", lab]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"from": ["https://a", {**lab, "token": "x"}]}, schema)
    assert not {"further", "source_secrets"} & schema["properties"].keys()
