"""What a test starts says its mark, and is held to while it runs.

A bound socket or a process makes it `real`, a database of its own `store`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Names of Python's audit events (PEP 578), and what they mean here.
STARTS = {
    "socket.bind": "binds a socket",
    "subprocess.Popen": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.fork": "starts a process",
    "sqlite3.connect": "opens a database",
}
# What asks for the mark `store`; all else asks for `real`.
OPENS = STARTS["sqlite3.connect"]
# Marks by what a fixture of that name starts for whoever uses it.
FIXTURES = {"aiohttp_client": "real", "aiohttp_server": "real", "store": "store"}

_listening: list[set[str]] = []  # to what starts now: the innermost fixture's set-up, or a test
_started_by: dict[object, dict[str, set[str]]] = {}  # fixtures, by the node of their scope


def _hear(event: str, arguments: object) -> None:
    if _listening and event in STARTS:
        _listening[-1].add(STARTS[event])


sys.addaudithook(_hear)


@contextmanager
def heard() -> Iterator[set[str]]:
    """Gives what starts within the block, in words; filled as it happens."""
    found: set[str] = set()
    _listening.append(found)
    try:
        yield found
    finally:
        _listening.pop()


def mark_missing(found: set[str], marks: Collection[str]) -> str | None:
    """Which mark a test with these marks lacks that started this; None where it lacks none.

    Whatever is `real` may open a database as well: it is no unit test anyhow.
    """
    if not found or not {"real", "backstage"}.isdisjoint(marks):
        return None
    if found == {OPENS}:
        return None if "store" in marks else "store"
    return "real"


def _left_out(config: pytest.Config) -> list[str]:
    """The marks whose tests are not to be run."""
    return [mark for mark in ("real", "store") if f"not {mark}" in config.option.markexpr]


def pytest_configure(config: pytest.Config) -> None:
    """Schemathesis takes longer to load than any other plugin, and only real tests use it."""
    if "real" not in _left_out(config):
        config.pluginmanager.import_plugin("schemathesis.pytest.plugin")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file of which every test has a mark is not even loaded where it is not asked for."""
    marks = _left_out(config)
    if not marks or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text("utf-8")
    return any(f"\npytestmark = pytest.mark.{mark}" in text for mark in marks) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever uses a fixture that starts something is marked without saying so."""
    for item in items:
        for name in FIXTURES.keys() & getattr(item, "fixturenames", ()):
            item.add_marker(FIXTURES[name])


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Iterator[None]:
    """Remember which fixtures start something, and for whom."""
    with heard() as found:
        try:
            return (yield)
        finally:
            if found:
                _started_by.setdefault(request.node, {})[fixturedef.argname] = found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test that starts something says so."""
    with heard() as found:
        result = yield
    for node in item.listchain():
        for name, words in _started_by.get(node, {}).items():
            if name in getattr(item, "fixturenames", ()) or node is item:
                found |= words
    missing = mark_missing(found, {mark.name for mark in item.iter_markers()})
    if missing is not None:
        pytest.fail(f"it {' and '.join(sorted(found))}: mark it with pytest.mark.{missing}")
    return result
