"""One collector of each of several GitLabs, asked as one: each about the projects that it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from bridge.errors import SourceError
from bridge.model.facts import FactSchema, Reading, Subject
from bridge.model.numbers import mark_in, mark_of, own_id
from bridge.ports import FactCollector


class BySource:
    """Hands every subject to the collector of its project's source, under the source's own id.

    They are asked side by side: one that does not answer holds up no other.
    """

    def __init__(self, collectors: Mapping[str, FactCollector]) -> None:
        self._collectors = {mark_of(name): each for name, each in collectors.items()}
        self._schema = next(iter(collectors.values())).schema

    def __repr__(self) -> str:
        return f"BySource({list(self._collectors.values())!r})"

    @property
    def schema(self) -> FactSchema:
        """What each of them gives."""
        return self._schema

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        """What they all give. Raises `SourceError` at the end, the first of those they raised."""
        found: asyncio.Queue[Reading | None] = asyncio.Queue(maxsize=100)
        failures: list[SourceError] = []

        async def ask(mark: int, asked: Sequence[Subject]) -> None:
            try:
                async for reading in self._collectors[mark].collect(asked):
                    await found.put(reading)
            except SourceError as error:
                failures.append(error)

        async def ask_all() -> None:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for mark, asked in _by_mark(subjects).items():
                        if mark in self._collectors:
                            tasks.create_task(ask(mark, asked))
            finally:
                await found.put(None)

        asking = asyncio.create_task(ask_all())
        try:
            while (reading := await found.get()) is not None:
                yield reading
            await asking
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        if failures:
            raise failures[0]

    async def close(self) -> None:
        """Release the connections of all; safe to call twice."""
        for each in self._collectors.values():
            await each.close()


def _by_mark(subjects: Sequence[Subject]) -> dict[int, list[Subject]]:
    """The subjects of each source as it knows them, by its mark."""
    found: dict[int, list[Subject]] = {}
    for subject in subjects:
        if subject.project is not None:
            own = replace(subject.project, id=own_id(subject.project.id))
            found.setdefault(mark_in(subject.project.id), []).append(replace(subject, project=own))
    return found
