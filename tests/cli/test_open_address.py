from __future__ import annotations

import resource
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.access.gate import Gate
from bridge.access.static_tokens import StaticTokens
from bridge.cli import main
from bridge.cli.serve import (
    MOST_FILES,
    allow_connections,
    is_wildcard,
    refuse_open_address,
)
from bridge.errors import ConfigurationError
from bridge.settings import Settings, is_loopback
from bridge.wiring import own_url
from bridge.wiring.serving import access_of

ACCESS = {"tokens": [{"name": "ci", "sha256": "0" * 64}]}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_an_address_that_others_reach_needs_access_or_open(host: str) -> None:
    settings = Settings.model_validate({"host": host})
    with pytest.raises(ConfigurationError, match="fester token"):
        refuse_open_address(settings, False)
    refuse_open_address(settings, True)
    refuse_open_address(Settings.model_validate({"host": host, "access": ACCESS}), False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_open(host: str) -> None:
    assert is_loopback(host)
    refuse_open_address(Settings.model_validate({"host": host}), False)


def test_where_nobody_needs_a_token_only_our_own_names_are_answered() -> None:
    """`--open` says that everybody may ask, by whatever name."""

    def names(**more: str) -> frozenset[str] | None:
        return access_of(Settings.model_validate(more), None).names

    assert names() == frozenset()
    assert names(public_url="https://fester.example.com/x") == frozenset({"fester.example.com"})
    assert names(host="0.0.0.0", public_url="https://fester.example.com") is None
    gate = Gate(StaticTokens(()))
    assert access_of(Settings.model_validate({"access": ACCESS}), gate).names is None


@pytest.mark.parametrize(
    ("host", "url"), [("::1", "http://[::1]:80"), ("127.0.0.1", "http://127.0.0.1:80")]
)
def test_an_address_of_ipv6_stands_in_brackets(host: str, url: str) -> None:
    settings = Settings.model_validate({"host": host, "port": 80})
    assert own_url(settings, 80) == url


@pytest.mark.parametrize(
    ("host", "all_of_them"),
    [("0.0.0.0", True), ("::", True), ("", True), ("127.0.0.1", False), ("fester.example", False)],
)
def test_an_address_that_stands_for_all_is_no_link(host: str, all_of_them: bool) -> None:
    """`serve` says then that `public_url` is wanted."""
    assert is_wildcard(host) is all_of_them


def test_many_idle_clients_leave_a_pass_its_connections() -> None:
    """A connection is an open file, and a process may often have no more than 1,024."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        allow_connections()
        usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert most == before[1]
        assert usual == (MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES))
        allow_connections()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (usual, most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_open_and_access_contradict_each_other() -> None:
    with pytest.raises(ConfigurationError, match="leave one of them out"):
        refuse_open_address(Settings.model_validate({"access": ACCESS}), True)


def test_the_command_ends_with_2_and_says_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["serve", "--from", str(tmp_path), "--host", "0.0.0.0"])
    assert done.exit_code == 2
    assert "--open" in done.stderr
