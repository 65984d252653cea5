from __future__ import annotations

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from bridge.access.static_tokens import StaticToken, StaticTokens, digest_of, new_token
from bridge.cli import main
from bridge.model.access import Scope
from bridge.settings import Settings

READ = frozenset({Scope.READ})


def test_a_token_is_found_by_its_hash_with_its_scopes() -> None:
    made, other = new_token(), new_token()
    both = frozenset({Scope.READ, Scope.OPERATE})
    tokens = StaticTokens(
        [StaticToken("ci", digest_of(made), READ), StaticToken("ops", digest_of(other), both)]
    )
    found = tokens.find(other)
    assert found is not None
    assert (found.name, found.scopes) == ("token:ops", both)
    assert tokens.find(made + "x") is None
    assert tokens.find(digest_of(made)) is None, "the hash itself opens nothing"


# A header's bytes that are no UTF-8 arrive as halves of surrogates.
@pytest.mark.parametrize(
    "text",
    [
        *("", "\0", "fester_known\0", "fester_know", "fester_known ", "Fester_Known"),
        *(
            "fester_knöwn",
            "\ud800",
            "\udcff\udc80",
            "fester_known\udc80",
            "\U0010ffff",
            "f" * 9_999,
        ),
    ],
    ids=ascii,
)
def test_no_text_is_a_token_by_accident_and_none_is_an_error(text: str) -> None:
    tokens = StaticTokens([StaticToken("ci", digest_of("fester_known"), READ)])
    assert tokens.find("fester_known") is not None
    assert tokens.find(text) is None


def test_fester_token_prints_a_token_and_the_settings_that_let_it_in() -> None:
    done = CliRunner().invoke(main, ["token", "scorecards", "--operate"])
    assert done.exit_code == 0
    made = done.stdout.strip()
    lines = done.stderr.partition("\n\n")[2].partition("\n\n")[0]
    settings = Settings.model_validate(YAML(typ="safe").load(lines))
    (token,) = settings.access.tokens
    assert (token.name, token.scopes) == ("scorecards", ("read", "operate"))
    assert token.sha256 == digest_of(made)
    assert made not in done.stderr


def test_fester_token_refuses_a_name_that_the_settings_would_refuse() -> None:
    done = CliRunner().invoke(main, ["token", "two words"])
    assert done.exit_code == 2
    assert not done.stdout
