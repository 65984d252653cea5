"""What is wrong as things stand is what the tables hold, whoever wrote it and whenever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from bridge.errors import StoreConflict
from bridge.model.problems import Problem
from bridge.model.statements import Merged, Taken
from bridge.store import SqlStore, open_store

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.test"
ONE, TWO, THREE = (Problem(f"problem {n}", "rule", project=f"p{n}") for n in (1, 2, 3))


@contextmanager
def readings() -> Iterator[list[str]]:
    """The statements that read problems."""
    found: list[str] = []

    def note(_c: object, _cursor: object, text: str, *_: object) -> None:
        if text.startswith("SELECT") and "fester_problems" in text:
            found.append(text)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def take(store: SqlStore, **problems: list[Problem]) -> None:
    edition = (await store.model.state(SOURCE)).edition
    await store.model.take(SOURCE, edition, Taken(problems=problems), "merge")


async def test_what_this_process_writes_is_followed(url: str) -> None:
    """It is not read again: a push would cost what all that is wrong costs."""
    store = await open_store(url)
    assert await store.model.problems(SOURCE) == []
    await take(store, a=[TWO, THREE], b=[ONE])
    assert await store.model.problems(SOURCE) == [ONE, TWO, THREE]
    with readings() as found:
        await take(store, a=[THREE], c=[TWO], d=[])
        assert await store.model.problems(SOURCE) == [ONE, TWO, THREE]
        edition = (await store.model.state(SOURCE)).edition
        merged = Merged(["x:y/z"], problems={"a": (), "b": ()})
        await store.model.merged(SOURCE, edition, merged)
        await store.model.note_places(SOURCE, edition + 1, ["0"])
        assert await store.model.problems(SOURCE) == [TWO]
    assert found == []
    await store.close()


async def test_what_another_process_writes_is_read(url: str) -> None:
    store, other = await open_store(url), await open_store(url)
    await take(store, a=[ONE])
    assert await store.model.problems(SOURCE) == await other.model.problems(SOURCE) == [ONE]
    await take(other, a=[TWO])
    assert await store.model.problems(SOURCE) == await other.model.problems(SOURCE) == [TWO]
    edition = (await store.model.state(SOURCE)).edition
    await take(other, b=[THREE])
    with pytest.raises(StoreConflict):
        await store.model.take(SOURCE, edition, Taken(problems={"a": []}), "merge")
    assert await store.model.problems(SOURCE) == await other.model.problems(SOURCE) == [TWO, THREE]
    await store.close()
    await other.close()
