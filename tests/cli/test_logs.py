"""Where log lines go."""

from __future__ import annotations

import io

import pytest
import structlog
from rich.console import Console
from rich.progress import Progress

from bridge.cli.logs import configure_logs


def test_log_lines_stand_above_the_progress_and_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """While progress is drawn, what goes to stderr goes through it."""
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    configured = structlog.get_config()
    configure_logs(verbose=False)
    try:
        with Progress(console=Console(file=terminal, force_terminal=True)) as bar:
            bar.add_task("reading projects", total=None)
            structlog.get_logger().warning("The store does not answer")
    finally:
        structlog.configure(**configured)
    drawn = terminal.getvalue()
    before, _, after = drawn.partition("The store does not answer")
    assert after, "the line is there"
    # The progress was wiped before the line was written, and drawn again after it.
    assert before.rstrip().rpartition("\x1b[2K")[2].strip("\r").count("reading projects") == 0
    assert "reading projects" in after
