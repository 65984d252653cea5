"""Brings a database's tables up to this Fester's, by Alembic and without a file of settings."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from bridge.errors import StoreError
from bridge.store.tables import VERSION_TABLE

_STEPS = Path(__file__).parent / "migrations"
# Any fixed number that other programs in the same PostgreSQL are unlikely to lock: "fester".
_LOCK = 0x666573746572


def is_current(connection: Connection) -> bool:
    """Whether nothing is to be done. Raises `StoreError` for a database of a newer Fester."""
    known = steps()
    found = _revision(connection)
    if found is not None and found not in known:
        raise StoreError(
            f"it was written by a newer Fester (tables at step {found}; this Fester knows steps "
            f"up to {known[-1]}); install that Fester or a newer one, or name another --store"
        )
    return found == known[-1]


def steps() -> list[str]:
    """The steps that this Fester knows, oldest first: a module `vNNNN_…` each."""
    return sorted(file.name[1:5] for file in (_STEPS / "versions").glob("v[0-9]*.py"))


def upgrade(connection: Connection) -> None:
    """Run the missing steps in the caller's transaction; of several processes only one does.

    On SQLite the caller's transaction is immediate, which is lock enough.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if is_current(connection):  # another process was first
        return
    # Alembic takes a third of a second and 14 MB: for those who have steps to run.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    # Config interpolates: a % in the folder's name must be doubled.
    config.set_main_option("script_location", str(_STEPS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 — our own name
    return found
