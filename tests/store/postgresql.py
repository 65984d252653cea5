"""A real PostgreSQL for the tests, in a folder of its own on a loopback port."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "postgres"


class NoPostgresql(Exception):
    """There is none on this machine that the tests may start; says why."""


@contextmanager
def cluster() -> Iterator[str]:
    """A running cluster's URL, without a database; gone at the end. Raises NoPostgresql."""
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    become = _become()
    # Short and of its own: pytest's folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        if become:
            os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
        data, port = folder / "data", _free_port()
        _run([*become, initdb, "-D", str(data), "-U", USER, "-A", "trust", "-N", "-E", "UTF8"])
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off "
            f"-c unix_socket_directories={folder}"
        )
        log = str(folder / "log")
        _run([*become, pg_ctl, "-D", str(data), "-l", log, "-o", options, "-w", "start"])
        try:
            yield f"postgresql://{USER}:hunter2@127.0.0.1:{port}"
        finally:
            _run([*become, pg_ctl, "-D", str(data), "-m", "immediate", "-w", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = str(beside[0]) if beside else shutil.which(name)
    if not found:
        raise NoPostgresql(f"{name} is neither in PATH nor in /usr/lib/postgresql/*/bin")
    return found


def _become() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return []
    try:
        pwd.getpwnam(USER)
    except KeyError:
        raise NoPostgresql(f"the tests run as root and there is no user {USER!r}") from None
    if setpriv := shutil.which("setpriv"):
        return [setpriv, f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    if runuser := shutil.which("runuser"):
        return [runuser, "-u", USER, "--"]
    raise NoPostgresql("the tests run as root, without setpriv or runuser")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _run(command: list[str]) -> None:
    # Not captured by a pipe: the server would inherit it and hold it open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, cwd="/", stdout=output, stderr=output, check=False)
        if done.returncode:
            output.seek(0)
            text = output.read().decode(errors="replace")
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{text}")
