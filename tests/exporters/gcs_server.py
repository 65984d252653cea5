"""A look-alike of Cloud Storage's JSON API on loopback, for what the PyPI emulator lacks.

It does generation preconditions (412), paging, md5, ETags, multipart and resumable uploads, and
faults on request. Written from https://cloud.google.com/storage/docs/json_api/v1 and from what
google-cloud-storage 3.17 sends.
"""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_OBJECTS = re.compile(r"(?:/upload|/download)?/storage/v1/b/([^/]+)/o(?:/(.+))?")


@dataclass
class Stored:
    """An object as the bucket holds it."""

    body: bytes
    generation: int
    content_type: str
    cache_control: str
    updated: datetime

    @property
    def md5(self) -> str:
        return base64.b64encode(md5(self.body, usedforsecurity=False).digest()).decode()


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose `METHOD path?query` matches.

    `kind` is an HTTP status; "reset" (no answer, nothing done), "lost" (done, no answer) or "stall"
    (nothing comes until the server ends). The first `skip` matching requests pass.
    """

    match: str
    kind: int | str
    times: int = 1
    skip: int = 0

    def strikes(self, line: str) -> bool:
        if self.times <= 0 or not re.search(self.match, line):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class Bucket:
    """The server's state, which a test may read and change directly."""

    name: str = "shop"
    page_size: int = 3
    objects: dict[str, Stored] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    # Called before a request is answered, without the lock: to let somebody else act in between.
    before: Callable[[str], None] = lambda line: None
    # Called after every change, with the lock held: to look at each state that a reader could see.
    after_change: Callable[[], None] = lambda: None
    lock: Lock = field(default_factory=Lock)
    ended: Event = field(default_factory=Event)
    host: str = ""
    # The bucket's own clock: of objects' times and of each answer's Date.
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _generations: Iterator[int] = field(default_factory=lambda: count(1000))
    _sessions: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=dict)

    def put(
        self, name: str, body: bytes, content_type: str = "", cache_control: str = ""
    ) -> Stored:
        now = self.clock()
        stored = Stored(body, next(self._generations), content_type, cache_control, now)
        self.objects[name] = stored
        self.after_change()
        return stored

    def writes(self) -> list[str]:
        return [line for line in self.requests if not line.startswith("GET")]

    def read(self, prefix: str = "") -> dict[str, bytes]:
        """What lies below a prefix, by the path below it."""
        with self.lock:
            return {
                name[len(prefix) :]: stored.body
                for name, stored in self.objects.items()
                if name.startswith(prefix)
            }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    bucket: Bucket


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body go out apart; the client would wait 40 ms
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Keep a test's output quiet."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True  # the client went away

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(int(self.server.bucket.clock().timestamp()))

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _handle(self) -> None:
        bucket = self.server.bucket
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line = f"{self.command} {unquote(self.path)}"
        if "uploadType=multipart" in line:
            line += f" name={_multipart(self.headers['Content-Type'], body)[0]['name']}"
        bucket.before(line)
        with bucket.lock:
            bucket.requests.append(line)
            fault = next((f for f in bucket.faults if f.strikes(line)), None)
        kind = fault.kind if fault else 0
        if kind == "stall":
            bucket.ended.wait()
        if kind in ("reset", "stall"):
            self._hang_up()
            return
        if isinstance(kind, int) and kind:
            self._answer(kind, {"error": {"code": kind, "message": "a fault on request"}})
            return
        with bucket.lock:
            status, answer, headers = self._route(bucket, body)
        if kind == "lost":
            self._hang_up()
            return
        self._answer(status, answer, headers)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, answer: object, headers: dict[str, str] | None = None) -> None:
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if status == 204:
            raw = b""
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(raw)))
        if "Content-Type" not in (headers or {}):
            self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.end_headers()
        self.wfile.write(raw)

    def _route(self, bucket: Bucket, body: bytes) -> tuple[int, object, dict[str, str]]:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        found = _OBJECTS.fullmatch(url.path)
        if not found or found[1] != bucket.name:
            return _error(404, "no such bucket")
        name = unquote(found[2] or "")
        if self.command == "POST" and query.get("uploadType") == "multipart":
            metadata, content_type, content = _multipart(self.headers["Content-Type"], body)
            return _store(bucket, metadata, content_type, content, query)
        if self.command == "POST":
            return self._open_session(bucket, query, json.loads(body))
        if self.command == "PUT":
            content_type, metadata, opened = bucket._sessions[query["upload_id"]]
            return _store(bucket, metadata, content_type, body, opened)
        if not name:
            return _listing(bucket, query)
        return self._object(bucket, name, query)

    def _open_session(
        self, bucket: Bucket, query: dict[str, str], metadata: dict[str, Any]
    ) -> tuple[int, object, dict[str, str]]:
        key = f"session-{len(bucket._sessions)}"
        bucket._sessions[key] = (self.headers["X-Upload-Content-Type"], metadata, query)
        where = f"{bucket.host}/upload/storage/v1/b/{bucket.name}/o?upload_id={key}"
        return 200, {}, {"Location": where}

    def _object(
        self, bucket: Bucket, name: str, query: dict[str, str]
    ) -> tuple[int, object, dict[str, str]]:
        stored = bucket.objects.get(name)
        if stored is None:
            return _error(404, "no such object")
        if _refused(stored, query):
            return _error(412, "conditionNotMet")
        if self.command == "DELETE":
            del bucket.objects[name]
            bucket.after_change()
            return 204, b"", {}
        if query.get("alt") == "media":
            headers = {"X-Goog-Hash": f"md5={stored.md5}", "Content-Type": stored.content_type}
            return 200, stored.body, headers
        return 200, _resource(bucket, name, stored), {}


def _multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], str, bytes]:
    """The metadata, content type and content of a multipart upload."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    assert boundary is not None
    _, first, second, _ = body.split(b"--" + boundary[1].encode())
    metadata = first.partition(b"\r\n\r\n")[2]
    head, _, content = second.partition(b"\r\n\r\n")
    kind = head.decode().partition(":")[2].strip()
    return json.loads(metadata), kind, content.removesuffix(b"\r\n")


def _refused(stored: Stored | None, query: dict[str, str]) -> bool:
    wanted = query.get("ifGenerationMatch")
    return wanted is not None and int(wanted) != (stored.generation if stored else 0)


def _store(
    bucket: Bucket, metadata: dict[str, Any], content_type: str, body: bytes, query: dict[str, str]
) -> tuple[int, object, dict[str, str]]:
    name = metadata["name"]
    if _refused(bucket.objects.get(name), query):
        return _error(412, "conditionNotMet")
    promised = metadata.get("md5Hash")
    stored = Stored(body, 0, "", "", bucket.clock())
    if promised and promised != stored.md5:
        return _error(400, "the md5 is of something else")
    stored = bucket.put(name, body, content_type, metadata.get("cacheControl", ""))
    return 200, _resource(bucket, name, stored), {}


def _listing(bucket: Bucket, query: dict[str, str]) -> tuple[int, object, dict[str, str]]:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    names, folders = [], set()
    for name in sorted(bucket.objects):
        if not name.startswith(prefix):
            continue
        head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        if found:
            folders.add(f"{prefix}{head}{delimiter}")
        else:
            names.append(name)
    start = int(query.get("pageToken", 0))
    end = start + bucket.page_size
    page: dict[str, Any] = {"kind": "storage#objects", "prefixes": sorted(folders)}
    page["items"] = [_resource(bucket, name, bucket.objects[name]) for name in names[start:end]]
    if end < len(names):
        page["nextPageToken"] = str(end)
    return 200, page, {}


def _resource(bucket: Bucket, name: str, stored: Stored) -> dict[str, str]:
    return {
        "kind": "storage#object",
        "name": name,
        "bucket": bucket.name,
        "generation": str(stored.generation),
        "metageneration": "1",
        "contentType": stored.content_type,
        "cacheControl": stored.cache_control,
        "size": str(len(stored.body)),
        "md5Hash": stored.md5,
        "etag": f"etag-{stored.generation}",
        "updated": stored.updated.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def _error(code: int, message: str) -> tuple[int, object, dict[str, str]]:
    return code, {"error": {"code": code, "message": message}}, {}


@contextmanager
def serving(bucket: Bucket) -> Iterator[Bucket]:
    """Serve a bucket on a free port; `bucket.host` is the address while it lasts."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.bucket = bucket
    bucket.host = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield bucket
    finally:
        bucket.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
