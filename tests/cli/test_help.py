"""`fester help`: topics, pages, commands, and a word that is nearly one of them."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli.program import main
from bridge.docs import TOPICS, guide_page


def told(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["help", *arguments], catch_exceptions=False)
    return result.exit_code, result.output


def test_without_a_topic_it_lists_all() -> None:
    code, output = told()
    assert code == 0
    assert [topic for topic in TOPICS if f"  {topic} " not in output] == []


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_is_plain_markdown_for_a_pipe_without_marks_for_tests(topic: str) -> None:
    assert told(topic) == (0, guide_page(topic).text)
    assert "<!--" not in guide_page(topic).text


def test_every_page_is_a_topic_and_lies_beside_the_program() -> None:
    folder = Path(guide_page.__wrapped__.__code__.co_filename).parent
    assert {path.stem for path in folder.glob("*.md")} == set(TOPICS)


def test_a_command_gives_its_own_help() -> None:
    code, output = told("run")
    assert code == 0
    assert output.startswith("Usage: main run [OPTIONS]") or "run [OPTIONS]" in output


def test_a_word_that_is_nearly_a_topic_is_answered_with_the_topic() -> None:
    code, output = told("manifst")
    assert code == 2
    assert "did you mean `manifest`?" in output


@pytest.mark.real
def test_on_a_terminal_it_is_rendered() -> None:
    master, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80"}
    program = [sys.executable, "-c", "from bridge.cli import main; main(['help', 'extend'])"]
    with subprocess.Popen(program, stdout=terminal, env=environment) as running:
        os.close(terminal)
        seen = b""
        try:
            while piece := os.read(master, 65_536):
                seen += piece
        except OSError:  # Linux says so when the last writer is gone
            pass
    os.close(master)
    assert running.returncode == 0
    assert b"\x1b[" in seen
    assert b"# Extending" not in seen
    assert b"Extending" in seen
