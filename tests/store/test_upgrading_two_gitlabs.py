"""A store of two GitLabs that a Fester wrote before problems named theirs.

`two_gitlabs_0017.sql` are its rows. Both GitLabs have the projects shop/p1 and shop/p2, and both
shop/p2 describe one component.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from bridge.model.numbers import mark_of
from bridge.model.problems import Problem
from bridge.store import open_store, schema

SOURCE = "https://gitlab.test"
LAB = mark_of("lab")


def written_at_step_0017(file: Path) -> str:
    """The store as it was; gives its URL."""
    engine = create_engine(f"sqlite:///{file}")
    config = Config()
    folder = Path(schema.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0017")
    engine.dispose()
    written = sqlite3.connect(file)
    written.executescript(Path(__file__).with_name("two_gitlabs_0017.sql").read_text())
    written.close()
    return f"sqlite:///{file}"


def told(problems: list[Problem]) -> set[tuple[str, str, int]]:
    return {(each.rule, each.project, each.gitlab) for each in problems}


async def test_old_problems_are_of_the_gitlab_that_their_place_tells(tmp_path: Path) -> None:
    """What two GitLabs may have said is told anew: the next pass merges that entity."""
    store = await open_store(written_at_step_0017(tmp_path / "s.db"))
    try:
        assert told(await store.model.problems(SOURCE)) == {
            ("claim-lost", "shop/p2", 0),
            ("dangling-ref", "shop/p1", LAB),
            ("unknown-key", "shop/p1", LAB),
            ("manifest-invalid", "shop/p3", LAB),
        }
        assert await store.model.todo(SOURCE, "merge") == ["component:default/cart"]
    finally:
        await store.close()


async def test_the_address_of_each_gitlab_is_that_of_its_projects(tmp_path: Path) -> None:
    store = await open_store(written_at_step_0017(tmp_path / "s.db"))
    try:
        assert await store.model.gitlabs(SOURCE, ["", "lab", "other"]) == {
            "": "https://gitlab.test",
            "lab": "https://gitlab.lab.test",
        }
    finally:
        await store.close()
