"""What must survive a restart, in SQLite by default or in PostgreSQL."""

from bridge.store.address import missing_file_refused, without_making
from bridge.store.facts import FactHistory, SqlFactStore
from bridge.store.lease import Held, SqlLease
from bridge.store.scores import ScoreHistory, SqlScoreStore
from bridge.store.store import SqlStore, open_store

__all__ = [
    "FactHistory",
    "Held",
    "ScoreHistory",
    "SqlFactStore",
    "SqlLease",
    "SqlScoreStore",
    "SqlStore",
    "missing_file_refused",
    "open_store",
    "without_making",
]
