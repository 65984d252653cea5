"""What a user reads when the store cannot be opened."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import aiosqlite
import pytest

from bridge.errors import ConfigurationError, StoreError
from bridge.store import open_store, schema
from bridge.store import store as module
from bridge.store.address import read_address


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://user:hunter2@host/db", "'mysql' is not a kind of store.*write sqlite:///"),
        ("postgresql+psycopg2://host/db", "is not a kind of store"),
        ("hunter2", "not a URL"),
        ("postgresql://user:hunter2@host:port/db", "not a URL"),
    ],
)
async def test_other_urls_are_a_configuration_error(url: str, message: str) -> None:
    """It says what to write, and never repeats a password."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        await open_store(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.store
async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The error names the file and says what to check."""
    with pytest.raises(StoreError, match=r"nowhere/fester\.db.*folder exists"):
        await open_store(f"sqlite:///{tmp_path}/nowhere/fester.db")


@pytest.mark.store
@pytest.mark.parametrize("name", ["nowhere/fester.db", ".", "other.txt"])
async def test_the_driver_is_not_asked_for_what_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its thread would answer a loop that a command has closed by then, with a traceback."""
    (tmp_path / "other.txt").write_text("something else")
    asked: list[object] = []
    monkeypatch.setattr(aiosqlite, "connect", lambda *given, **more: asked.append(given))
    with pytest.raises(StoreError):
        await open_store(f"sqlite:///{tmp_path}/{name}")
    assert asked == []


@pytest.mark.store
async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    """Somebody's notes are not overwritten."""
    notes = tmp_path / "notes.txt"
    notes.write_text("milk, eggs, " * 100)
    with pytest.raises(StoreError, match="not a database"):
        await open_store(f"sqlite:///{notes}")
    assert notes.read_text() == "milk, eggs, " * 100


@pytest.mark.real
async def test_an_unreachable_server_is_named_without_its_password(unused_tcp_port: int) -> None:
    """The error says that nobody answers, and masks the password."""
    pytest.importorskip("psycopg")
    url = f"postgresql://me:hunter2@127.0.0.1:{unused_tcp_port}/fester"
    with pytest.raises(StoreError, match=r"me:\*\*\*@127.*check that PostgreSQL") as caught:
        await open_store(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.real
async def test_an_unknown_database_is_named(server: str) -> None:
    """PostgreSQL's own words come with what to check."""
    with pytest.raises(StoreError, match=r'database "nowhere" does not exist.*database exists'):
        await open_store(f"{server}/nowhere")


async def test_a_missing_driver_comes_with_the_command_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PostgreSQL is an extra."""
    monkeypatch.delitem(sys.modules, "bridge.store.postgresql", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'fester\[postgresql\]'"):
        await open_store("postgresql://me@127.0.0.1/fester")


@pytest.mark.real
async def test_a_url_with_the_former_driver_opens_and_is_told(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has asyncpg in the URL needs not change it at once."""
    told: list[dict[str, object]] = []
    monkeypatch.setattr(
        module.log, "warning", lambda text, **more: told.append({"text": text, **more})
    )
    url = f"{server}/postgres"
    await (await open_store(url)).close()
    assert told == []
    await (await open_store(url.replace("postgresql:", "postgresql+asyncpg:"))).close()
    assert [each["action"] for each in told] == ["store_driver_ignored"]
    assert "write postgresql://" in str(told[0]["text"])
    assert "hunter2" not in str(told)


@pytest.mark.real
async def test_what_the_url_says_of_the_connection_counts(server: str) -> None:
    """Its parameters are libpq's: options come after ours, an unknown name is told."""
    url = f"{server}/postgres?options=-c%20idle_in_transaction_session_timeout%3D7777"
    store = await open_store(url)
    async with store._reading("look") as connection:
        seen = await connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout")
        assert seen.scalar_one() == "7777ms"
    await store.close()
    with pytest.raises(StoreError, match='invalid connection option "sslrotcert"') as caught:
        await open_store(f"{server}/postgres?sslrotcert=x")
    assert "hunter2" not in str(caught.value)


def test_an_address_hides_its_secrets() -> None:
    """A password is never shown, wherever in the URL it stands."""
    address = read_address("postgresql://me:hunter2@host/db?sslmode=require&password=hunter3")
    assert "hunter" not in repr(address)
    assert "hunter" not in address.shown


@pytest.mark.store
async def test_sqlite_lets_readers_read_while_one_writes(tmp_path: Path) -> None:
    """The file is in write-ahead mode once it was opened, for whoever opens it."""
    store = await open_store(f"sqlite:///{tmp_path}/store.db")
    await store.close()
    connection = sqlite3.connect(tmp_path / "store.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


_PROCESS = """
import asyncio, sys
from bridge.store import open_store, schema
from bridge.store import store as module

async def main():
    sys.stdin.readline()
    store = await open_store(sys.argv[1])
    print(await store.passes("any", 1))
    await store.close()

print("ready", flush=True)
asyncio.run(main())
"""


@pytest.mark.real
async def test_two_processes_may_start_at_once(url: str) -> None:
    """Both find a whole store, whoever of them made it."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", _PROCESS, url,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout
        assert await process.stdout.readline() == b"ready\n"
    ends = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [(out, err) for out, err in ends] == [(b"[]\n", b"")] * 2


def test_the_steps_are_alembics() -> None:
    """Whether a database is current is told without Alembic, by the same steps."""
    from alembic.script import ScriptDirectory

    alembics = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    assert schema.steps() == [step.revision for step in alembics.walk_revisions()][::-1]
    assert schema.steps()[-1] == alembics.get_current_head()
