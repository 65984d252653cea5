"""What `fester doctor` says of the queue by which processes on one PostgreSQL share sweeps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from bridge.errors import FesterError
from bridge.scrapers.gitlab.inspection import Finding
from bridge.service.leadership import this_process
from bridge.settings import Settings
from bridge.store.address import read_address

_WHAT: Final = "shared sweeps"


async def queue_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the queue can be reached, who takes jobs, and what is stalled; none of SQLite."""
    if not settings.share_sweeps or read_address(settings.store).sqlite:
        return
    try:
        yield await _queue(settings)
    except ImportError:
        advice = "type: pip install 'fester[postgresql]'"
        yield Finding(
            _WHAT, True, "each process reads alone: the library of jobs is not installed", advice
        )
    except FesterError as error:
        advice = "until then each process reads its sweeps alone; the message says what to do"
        yield Finding(_WHAT, False, str(error), advice)


async def _queue(settings: Settings) -> Finding:
    from bridge.store.job_queue import open_queue  # noqa: PLC0415 — its library is an extra

    async with open_queue(settings.store, this_process(), settings.lease) as queue:
        schema, seen, stalled = queue.schema, await queue.seen(), await queue.stalled()
    said = f"jobs lie in the schema {schema}; {_told(seen)}"
    if stalled:
        said = f"{said}; jobs of processes that show no sign of life: {stalled}"
        advice = "the `fester serve` that leads has them done again: see that one runs"
        return Finding(_WHAT, True, said, advice)
    if len({queues for _, queues in _by_name(seen)}) > 1:
        advice = (
            "they differ in settings, mapping files, token or version, and read only with those "
            "that are alike: give all the same, unless they are of several catalogs"
        )
        return Finding(_WHAT, True, said, advice)
    return Finding(_WHAT, True, said)


def _by_name(seen: Sequence[tuple[str, str]]) -> list[tuple[str, frozenset[str]]]:
    names = dict.fromkeys(name for name, _ in seen)
    return [(name, frozenset(queue for who, queue in seen if who == name)) for name in names]


def _told(seen: Sequence[tuple[str, str]]) -> str:
    """Who takes jobs. A name is host:process:chance, of which people need the first two."""
    names = [name.rpartition(":")[0] for name, _ in _by_name(seen)]
    if not names:
        return "nobody takes jobs now"
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    many = "1 process takes" if len(names) == 1 else f"{len(names)} processes take"
    return f"{many} jobs: {shown}"
