"""Connections to PostgreSQL that never wait for long; imported where the driver is installed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.waiting import wait_async
from sqlalchemy.engine import URL

from bridge.errors import StoreError

_CONNECT_SECONDS = 15.0
_Found = TypeVar("_Found")


def connector(
    url: URL, shown: str, patience: float, longest: float
) -> Callable[[], Awaitable[psycopg.AsyncConnection[Any]]]:
    """What connects to `url`, as often as it is called.

    The URL's parameters are libpq's (sslmode, sslrootcert, several hosts), as PostgreSQL's manual
    has them: "Parameter Key Words" in libpq-connect.html. `shown` is the URL without secrets,
    `patience` and `longest` are seconds, as in `bridge.store.address.make_engine`. What it gives
    raises `StoreError`.
    """

    async def connect() -> psycopg.AsyncConnection[Any]:
        try:
            return await patient(longest).connect(
                make_conninfo("", **parameters(url, patience)),
                connect_timeout=connect_seconds(patience),
            )
        except (psycopg.Error, OSError, ValueError) as error:
            raise StoreError(
                f"cannot connect to the store {shown}: {_reason(error, url.password)}; check that "
                "PostgreSQL runs there, that the database exists and that user and password are "
                "right"
            ) from None  # the cause may quote the URL with its password

    return connect


def connect_seconds(patience: float) -> int:
    """How many seconds connecting may take."""
    return max(2, round(min(_CONNECT_SECONDS, patience)))  # libpq's least


def patient(longest: float) -> type[psycopg.AsyncConnection[Any]]:
    """Connections on which nothing takes longer than so many seconds, and which end at once.

    A network may swallow packets: no error comes, and no answer. A limit in the server would not
    help. Who gives up waiting may not wait for that either: psycopg itself would ask the server to
    stop, by a new connection, and take up to ten seconds for it.
    """

    class Patient(psycopg.AsyncConnection[Any]):
        async def wait(
            self,
            gen: PQGen[_Found],
            interval: float = 0.1,
            timeout: float | None = None,  # noqa: ASYNC109
        ) -> _Found:
            socket = self.pgconn.socket
            try:
                return await wait_async(gen, socket, interval, timeout or longest)
            except BaseException:
                if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                    self.pgconn.finish()  # what it would answer later belongs to nobody
                raise

    return Patient


def _reason(error: Exception, password: object) -> str:
    """The first line of what went wrong, without the password in it."""
    reason = (str(error) or type(error).__name__).partition("\n")[0]
    return reason.replace(str(password), "***") if password else reason


def parameters(url: URL, patience: float) -> dict[str, Any]:
    """What libpq is to be told: the names and values of its parameters."""
    of_url: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password and str(url.password),
        "dbname": url.database,
    }
    of_url |= {
        key: value if isinstance(value, str) else ",".join(value)
        for key, value in url.query.items()
    }
    # What the URL itself says comes last, and counts.
    options = " ".join([*_options(patience), of_url.get("options", "")])
    return of_url | {"options": options}


def _options(patience: float) -> list[str]:
    """How soon the server gives up on us: one that is paused or cut off must not keep its locks.

    https://www.postgresql.org/docs/current/runtime-config-connection.html (TCP settings), and
    runtime-config-client.html (idle_in_transaction_session_timeout).
    """
    seconds = max(1, int(patience))
    settings = {
        "tcp_keepalives_idle": seconds,
        "tcp_keepalives_interval": max(1, seconds // 3),
        "tcp_keepalives_count": 3,
        "tcp_user_timeout": seconds * 2000,
        "idle_in_transaction_session_timeout": seconds * 2000,
    }
    return [f"-c {name}={value}" for name, value in settings.items()]
