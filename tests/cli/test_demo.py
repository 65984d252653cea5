"""`fester demo`, as the README has it: once, and then served from the same folder."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_demo import past_of, running_demo

pytestmark = pytest.mark.real


def test_after_a_pass_of_its_own_the_served_demo_has_a_past_too(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        sandbox = ["--sandbox-port", str(free.getsockname()[1])]
    program = [sys.executable, "-c", "from bridge.cli import main; main()"]
    once = [*program, "demo", "--once", "--to", str(tmp_path / "out"), *sandbox]
    subprocess.run(once, check=True, capture_output=True, timeout=120)
    with running_demo(tmp_path, *sandbox) as url:
        assert len(past_of(url)) > 50
