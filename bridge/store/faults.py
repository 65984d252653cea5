"""What databases say when they fail, as what a person can do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bridge.errors import StoreError
from bridge.store.address import StoreAddress

# What SQLite and PostgreSQL say → what to do; the first that occurs in the message counts.
_ADVICE = {
    "unable to open database": "check that the folder exists and that this user may write there",
    "readonly database": "check that this user may write the file and its folder",
    "read-only transaction": "this PostgreSQL takes no writes: name the primary in the URL",
    "disk is full": "free some space on its disk and run again",
    "no space left": "free some space on the server's disk and run again",
    "disk i/o error": "check its disk: is it full, is it still there?",
    "is locked": "another process holds it: let that one finish, or stop it, and run again",
    "lock timeout": "another process holds it: let that one finish, or stop it, and run again",
    "not a database": "that file is no SQLite database: name another file",
    "malformed": "the file is damaged: restore it from a backup",
    "permission denied": "grant this user the rights to create and write tables",
}
_ELSE = "check its URL, its rights and its disk"


@contextmanager
def explained(address: StoreAddress, action: str) -> Iterator[None]:
    """Turn whatever a database raises inside into a `StoreError` that says what to do.

    `action` completes "cannot …". Errors of ours pass through as they are.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(_message(address, action, _reason(error))) from error
    except (OSError, TimeoutError, sqlite3.Error) as error:
        reason = str(error) or type(error).__name__
        raise StoreError(_message(address, action, reason)) from error
    except UnicodeEncodeError as error:  # a name in a column; its text is not repeated
        raise StoreError(_message(address, action, "a name is not valid Unicode")) from error


def _reason(error: SQLAlchemyError) -> str:
    # The wrapped error is the database's own sentence, without our SQL.
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return str(said).partition("\n")[0]


def _message(address: StoreAddress, action: str, reason: str) -> str:
    lowered = reason.lower()
    advice = next((then for said, then in _ADVICE.items() if said in lowered), _ELSE)
    return f"cannot {action} in the store {address.shown}: {reason}; {advice}"
