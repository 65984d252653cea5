"""What must survive a restart, in SQLite by default or in PostgreSQL."""

from bridge.history.facts import FactHistory, SqlFactStore
from bridge.history.lease import Held, Lease
from bridge.history.scores import ScoreHistory, SqlScoreStore
from bridge.history.store import SqlStore, open_store

__all__ = [
    "FactHistory",
    "Held",
    "Lease",
    "ScoreHistory",
    "SqlFactStore",
    "SqlScoreStore",
    "SqlStore",
    "open_store",
]
