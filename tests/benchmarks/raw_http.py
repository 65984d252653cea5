"""The least that a client of HTTP can be, so that a benchmark measures the server."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from multiprocessing.queues import SimpleQueue
from statistics import quantiles
from time import perf_counter
from typing import TypeAlias
from urllib.parse import urlsplit

Results: TypeAlias = "SimpleQueue[tuple[list[float], int] | str]"

_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Request:
    """One request; `body` is JSON."""

    path: str
    body: bytes | None = None


@dataclass(frozen=True)
class Measured:
    """What some seconds of asking gave: requests a second, and milliseconds of one request."""

    rate: float
    p50: float
    p95: float
    size: int  # bytes of the last answer


class Connection:
    """One connection that is kept; asks one thing after the other."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", buffering=1 << 16)
        signed = f"Authorization: Bearer {token}\r\n" if token else ""
        self._head = f"Host: {parts.netloc}\r\n{signed}"

    def ask(self, request: Request) -> bytes:
        """The answer's body; RuntimeError for any status but 200."""
        verb = "GET" if request.body is None else "POST"
        body = request.body or b""
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        text = f"{verb} {request.path} HTTP/1.1\r\n{self._head}{kind}\r\n"
        self._socket.sendall(text.encode() + body)
        status = self._file.readline()
        length, chunked = 0, False
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.lower().partition(b":")
            if name == b"content-length":
                length = int(value)
            chunked = chunked or (name == b"transfer-encoding" and b"chunked" in value)
        answer = self._chunks() if chunked else self._file.read(length)
        if b" 200 " not in status:
            raise RuntimeError(f"{request.path}: {status!r} {answer[:300]!r}")
        return answer

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self._file.readline(), 16):
            parts.append(self._file.read(size))
            self._file.readline()
        self._file.readline()
        return b"".join(parts)

    def close(self) -> None:
        """End it."""
        self._file.close()
        self._socket.close()


def measure(
    url: str, token: str, requests: Sequence[Request], *, seconds: float, connections: int
) -> Measured:
    """Ask for some seconds over several connections, each from a process of its own."""
    results: Results = _FORK.SimpleQueue()
    workers = [
        _FORK.Process(target=_work, args=(url, token, requests[start:], seconds, results))
        for start in range(0, connections * 7, 7)
    ]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    times: list[float] = []
    size = 0
    for each in found:
        if isinstance(each, str):
            raise RuntimeError(each)
        times += each[0]
        size = each[1]
    cuts = quantiles(times, n=20)
    return Measured(len(times) / seconds, cuts[9] * 1000, cuts[18] * 1000, size)


def _work(
    url: str, token: str, requests: Sequence[Request], seconds: float, results: Results
) -> None:
    try:
        connection = Connection(url, token)
        for request in islice(cycle(requests), 5):
            size = len(connection.ask(request))
        times = []
        end = perf_counter() + seconds
        for request in cycle(requests):
            begun = perf_counter()
            if begun > end:
                break
            size = len(connection.ask(request))
            times.append(perf_counter() - begun)
        connection.close()
        results.put((times, size))
    except Exception as error:
        results.put(f"{type(error).__name__}: {error}")
