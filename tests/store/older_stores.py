"""Stores as older versions wrote them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from bridge.store import schema


def older_store(file: Path, step: str, rows: str) -> str:
    """A store at a step of the migrations, with the rows of an SQL file beside this one.

    Gives its URL.
    """
    engine = create_engine(f"sqlite:///{file}")
    config = Config()
    folder = Path(schema.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, step)
    engine.dispose()
    written = sqlite3.connect(file)
    written.executescript(Path(__file__).with_name(rows).read_text())
    written.close()
    return f"sqlite:///{file}"
