"""What holds for every test."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from bridge.secret.masks import IN_FORCE
from tests.laws import examples

pytest_plugins = ("tests.starting", "tests.statements", "tests.tables")

# Rooms whose tests share what takes long to start: a Backstage, a demo in a browser.
SHARED = frozenset(("backstage", "browser"))

# Rooms whose tests take long: begun first, none of them is left over for one worker at the end.
LONG = frozenset((*SHARED, "service", "survival"))

# How long a machine takes is nothing that a law says.
settings.register_profile(
    "laws",
    deadline=None,
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("laws")


# With Rich, all that the frames hold is drawn for each error: after a recursion that takes seconds.
LOGS = [
    *structlog.get_config()["processors"][:-1],
    structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
]


class TogetherByFile(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    """With several workers (`-n 2`) the tests of a file stay together, for what they start once."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # files with most tests are not those that take long

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", maxsplit=1)[0]
        room = room_of(nodeid)
        return room if room in SHARED else file


def room_of(nodeid: str) -> str:
    """The folder of a test below `tests`; its file where it lies in none."""
    return nodeid.split("/")[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of rooms, but for those that take long."""
    items.sort(key=lambda item: room_of(item.nodeid) not in LONG)


@pytest.hookimpl(optionalhook=True)  # with pytest-xdist alone
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> TogetherByFile:
    return TogetherByFile(config, log)


def pytest_collection_finish() -> None:
    """What is imported stays until the end: the collector need not look through it each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def no_secrets_in_force() -> None:
    """What one test called a secret may be a plain word in the next."""
    IN_FORCE.replace(())


@pytest.fixture(autouse=True)
def logs_as_they_begin() -> None:
    """A command of one test leaves out lines that the next one looks for."""
    structlog.reset_defaults()
    structlog.configure(processors=LOGS)


# A skip that has another reason than a missing program; the machine's, not the tests'.
SKIPS_THAT_MAY_BE = ("root may read everything", "the folder of real manifests is not beside us")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """In CI a test that was skipped for want of Node, PostgreSQL or Chromium has failed."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if not any(allowed in reason for allowed in SKIPS_THAT_MAY_BE):
            report.outcome = "failed"
            report.longrepr = f"not run, and CI is to run everything: {reason}"
    return report  # type: ignore[return-value]
