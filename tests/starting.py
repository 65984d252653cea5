"""What a test starts makes it `real`: a bound socket, or a process. Held to while it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Names of Python's audit events (PEP 578), and what they mean here.
STARTS = {
    "socket.bind": "binds a socket",
    "subprocess.Popen": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.fork": "starts a process",
}
# Fixtures of plugins that start a server for whoever uses them.
FIXTURES = frozenset({"aiohttp_client", "aiohttp_server"})

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


def is_real(item: pytest.Item) -> bool:
    """Whether a test says that it starts something."""
    return any(item.get_closest_marker(name) for name in ("real", "backstage"))


def _asked_for(config: pytest.Config) -> bool:
    """Whether real tests may be among those that are to be run."""
    return "not real" not in config.option.markexpr


def pytest_configure(config: pytest.Config) -> None:
    """Schemathesis takes longer to load than any other plugin, and only real tests use it."""
    if _asked_for(config):
        config.pluginmanager.import_plugin("schemathesis.pytest.plugin")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file of real tests alone is not even loaded where they are not asked for."""
    if _asked_for(config) or collection_path.suffix != ".py":
        return None
    return "\npytestmark = pytest.mark.real" in collection_path.read_text("utf-8") or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever uses a fixture that starts a server is real without saying so."""
    for item in items:
        if FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)


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
    if found and not is_real(item):
        pytest.fail(f"it {' and '.join(sorted(found))}: mark it with pytest.mark.real")
    return result
