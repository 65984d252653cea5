from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.cli.serve import is_loopback, refuse_open_address
from bridge.errors import ConfigurationError
from bridge.settings import Settings

ACCESS = {"tokens": [{"name": "ci", "sha256": "0" * 64}]}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_an_address_that_others_reach_needs_access_or_open(host: str, tmp_path: Path) -> None:
    settings = Settings.model_validate({"host": host})
    with pytest.raises(ConfigurationError, match="fester token"):
        refuse_open_address(settings, False)
    refuse_open_address(settings, True)
    refuse_open_address(Settings.model_validate({"host": host, "access": ACCESS}), False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_open(host: str) -> None:
    assert is_loopback(host)
    refuse_open_address(Settings.model_validate({"host": host}), False)


def test_open_and_access_contradict_each_other() -> None:
    with pytest.raises(ConfigurationError, match="leave one of them out"):
        refuse_open_address(Settings.model_validate({"access": ACCESS}), True)


def test_the_command_ends_with_2_and_says_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["serve", "--from", str(tmp_path), "--host", "0.0.0.0"])
    assert done.exit_code == 2
    assert "--open" in done.stderr
