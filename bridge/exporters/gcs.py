"""Publishing to Google Cloud Storage, side by side, with generation preconditions.

One listing tells what is there (md5, generation); only what differs is uploaded, and when nothing
differs that listing is all that happens. Otherwise the publisher first claims the destination with
a small lease object, so that two never interleave, and lists again under it. Every upload and
deletion names the generation that the listing saw (0: must not exist): should a writer that knows
nothing of leases, or one whose lease ran out, be at work all the same, the later one is refused.

Rules: https://cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import secrets
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5
from threading import Lock
from time import monotonic
from typing import Any

# Without this the client reads the bucket's metadata in a hidden thread at each start.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "1")

from google.api_core.exceptions import (
    Forbidden,
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    RetryError,
    Unauthorized,
)
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.exceptions import RequestException, SSLError

from bridge.errors import ConfigurationError, PublishConflict, PublishError
from bridge.exporters.plan import Plan, check_paths, is_safe, make_plan
from bridge.exporters.render import INDEX, SHARDS
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Receipt, Stage
from bridge.neighbours.http_client import untrusted
from bridge.neighbours.requests_trust import TrustingAdapter, certificate_error
from bridge.neighbours.tls import trust as default_trust

_URL = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")
# For all objects alike: a reader must see a change at once, and an index must never be newer than
# the shards beside it. Google's default lets caches keep public objects for an hour.
_CACHE_CONTROL = "no-cache"
_WORKERS = 16
_LEASE = ".fester-lease"
_LOST = (
    GoogleAPICallError,
    RetryError,
    RequestException,
    TransportError,
    DataCorruption,
    InvalidResponse,
    ConnectionError,
    TimeoutError,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as the listing showed it."""

    md5: str
    generation: int


@dataclass(slots=True)
class GcsExporter:
    """Publishes below `url`, a `gs://bucket/prefix`.

    `patience` bounds the retries of one request, in seconds. `lease_seconds` is how long a
    publisher that was killed keeps the others out. Raises `ConfigurationError` for another URL.
    """

    url: str
    patience: float = 60.0
    lease_seconds: float = 120.0
    workers: int = _WORKERS
    trust: ssl.SSLContext | None = field(default=None, repr=False)
    bucket: str = field(init=False)
    prefix: str = field(init=False)
    _client: Any = field(init=False, default=None, repr=False)
    _opening: Lock = field(init=False, default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        found = _URL.fullmatch(self.url)
        prefix = ((found[2] if found else "") or "").strip("/")
        if not found or (prefix and not is_safe(prefix)):
            message = (
                f"{self.url!r} is no bucket: expected gs://bucket or gs://bucket/prefix, with "
                "letters, digits and ._-/ in the prefix"
            )
            raise ConfigurationError([Problem(message, "destination-unknown")])
        self.bucket = found[1]
        self.prefix = f"{prefix}/" if prefix else ""

    @property
    def name(self) -> str:
        """The URL as it was given."""
        return self.url

    async def publish(self, artifacts: Sequence[Artifact], *, dry_run: bool = False) -> Receipt:
        """See `bridge.ports.Exporter`. Runs in threads: Google's client blocks."""
        return await asyncio.to_thread(self._publish, tuple(artifacts), dry_run)

    async def close(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _publish(self, artifacts: Sequence[Artifact], dry_run: bool) -> Receipt:
        check_paths(artifacts)
        with self._explained():
            plan = self._plan(artifacts, self._listing(artifacts))
            if not dry_run and not plan.idle:
                with self._lease() as renew:
                    # What was seen before the lease may be another publisher's half.
                    seen = self._listing(artifacts)
                    plan = self._plan(artifacts, seen)
                    self._carry_out(plan, seen, renew)
        return plan.receipt(self.name)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what Google's client raises into errors that say what to do."""
        try:
            yield
        except NotFound as error:
            raise PublishError(
                f"the bucket {self.bucket} does not exist, or the account may not see it: create "
                "it, or correct the destination"
            ) from error
        except (Forbidden, Unauthorized) as error:
            raise PublishError(
                f"Google refused access to the bucket {self.bucket}: the account needs the role "
                "roles/storage.objectUser on it"
            ) from error
        except SSLError as error:
            raise PublishError(
                f"{self.url}: Cloud Storage was not asked: {untrusted(certificate_error(error))}"
            ) from error
        except _LOST as error:
            code = getattr(error, "code", None)
            raise PublishError(
                f"{self.url}: Cloud Storage did not answer as it should ({type(error).__name__}"
                f"{f' {int(code)}' if isinstance(code, int) else ''}), retries included; every "
                "file that the published index names still stands, run again"
            ) from error
        except GoogleAuthError as error:
            raise PublishError(
                f"no usable Google credentials for {self.url}: run `gcloud auth "
                "application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
            ) from error

    def _listing(self, artifacts: Sequence[Artifact]) -> dict[str, Seen]:
        """Every object in the folders that we write to, by path below the prefix."""
        folders = {SHARDS, ""} | {
            f"{head}/" for a in artifacts if (head := a.path.rpartition("/")[0])
        }
        found: dict[str, Seen] = {}
        for folder in sorted(folders):
            blobs = self._open().list_blobs(
                self.bucket,
                prefix=f"{self.prefix}{folder}",
                delimiter="/",
                fields="items(name,md5Hash,generation),prefixes,nextPageToken",
                retry=self._retry(),
                timeout=self._timeout(),
            )
            for blob in blobs:
                path = blob.name[len(self.prefix) :]
                found[path] = Seen(blob.md5_hash or "", int(blob.generation or 0))
        return found

    def _plan(self, artifacts: Sequence[Artifact], seen: Mapping[str, Seen]) -> Plan:
        existing = {path: entry.md5 for path, entry in seen.items()}
        plan = make_plan(artifacts, existing, _digest, b"")
        if not plan.remove or INDEX not in seen:
            return plan
        # Only where something is to go does it matter what the old index names.
        try:
            index = self._blob(INDEX).download_as_bytes(
                if_generation_match=seen[INDEX].generation,
                retry=self._retry(),
                timeout=self._timeout(),
            )
        except (NotFound, PreconditionFailed) as error:
            raise self._conflict(INDEX) from error
        return make_plan(artifacts, existing, _digest, index)

    def _carry_out(self, plan: Plan, seen: Mapping[str, Seen], renew: Callable[[], None]) -> None:
        def upload(artifact: Artifact) -> None:
            before = seen.get(artifact.path)
            generation = before.generation if before else 0
            self._put(artifact.path, artifact.body, artifact.content_type, generation)

        self._side_by_side(upload, plan.stage(Stage.ENTITIES))
        renew()  # the shards may have taken long; the index is for the holder alone
        self._side_by_side(upload, plan.stage(Stage.INDEX))
        self._side_by_side(upload, plan.stage(Stage.DATA))
        self._side_by_side(lambda path: self._remove(path, seen[path]), plan.remove)

    @contextmanager
    def _lease(self) -> Iterator[Callable[[], None]]:
        """Hold the destination alone; yields a function that extends the hold.

        Raises `PublishConflict` when another publisher holds it, or took it over meanwhile.
        """
        body = secrets.token_hex(16).encode()
        held, since = self._claim(body), monotonic()

        def renew() -> None:
            nonlocal held, since
            # Google takes one write a second to the same name: only what runs out is renewed.
            if monotonic() - since >= self.lease_seconds / 4:
                held, since = self._put(_LEASE, body, "text/plain", held), monotonic()

        try:
            yield renew
        finally:
            # A lease that cannot be given back runs out by itself; the outcome stands without it.
            with suppress(*_LOST, GoogleAuthError):
                self._blob(_LEASE).delete(
                    if_generation_match=held, retry=self._retry(), timeout=self._timeout()
                )

    def _claim(self, body: bytes) -> int:
        found = self._find(_LEASE)
        generation = 0
        if found is not None:
            free_at = found.updated + timedelta(seconds=self.lease_seconds)
            if datetime.now(UTC) < free_at:
                raise PublishConflict(
                    f"{self.url}: another Fester is publishing here; if none is, one was killed "
                    f"at work, and its claim ends at {free_at:%H:%M:%S} UTC: run again then"
                )
            generation = int(found.generation)
        return self._put(_LEASE, body, "text/plain", generation)

    def _side_by_side(self, work: Callable[[Any], None], items: Iterable[Any]) -> None:
        """Do `work` on every item in threads; after the first failure start no more."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="gcs") as pool:
            futures = [pool.submit(work, item) for item in items]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _put(self, path: str, body: bytes, content_type: str, generation: int) -> int:
        """Upload over `generation` and nothing else; returns the new generation."""
        blob = self._blob(path)
        blob.cache_control = _CACHE_CONTROL
        try:
            blob.upload_from_string(
                body,
                content_type=content_type,
                if_generation_match=generation,
                checksum="md5",
                retry=self._retry(),
                timeout=self._timeout(),
            )
        except PreconditionFailed as error:
            # A retry after a lost answer finds its own upload there: that is success.
            blob = self._find(path)
            if blob is None or blob.md5_hash != _digest(body):
                raise self._conflict(path) from error
        return int(blob.generation or 0)

    def _find(self, path: str) -> Any:
        """The object with its metadata as it is now; None when it is not there."""
        bucket = self._open().bucket(self.bucket)
        return bucket.get_blob(f"{self.prefix}{path}", retry=self._retry(), timeout=self._timeout())

    def _conflict(self, path: str) -> PublishConflict:
        if path == _LEASE:
            return PublishConflict(
                f"{self.url}: another Fester began to publish here at the same time; run again, or "
                "give each publisher a prefix of its own"
            )
        return PublishConflict(
            f"{self.url}: {path} was changed by somebody else meanwhile; run again to publish on "
            "top of it, and give each publisher a prefix of its own"
        )

    def _remove(self, path: str, seen: Seen) -> None:
        try:
            self._blob(path).delete(
                if_generation_match=seen.generation,
                retry=self._retry(),
                timeout=self._timeout(),
            )
        except NotFound:
            return  # a retried delete finds its work done
        except PreconditionFailed as error:
            raise self._conflict(path) from error

    def _blob(self, path: str) -> Any:
        return self._open().bucket(self.bucket).blob(f"{self.prefix}{path}")

    def _retry(self) -> Any:
        return (
            DEFAULT_RETRY.with_predicate(_worth_another_try)
            .with_timeout(self.patience)
            .with_delay(initial=min(1.0, self.patience / 10), maximum=10.0)
        )

    def _timeout(self) -> tuple[float, float]:
        """Seconds to connect, and between two bytes: a stalled request leaves time for another."""
        return min(10.0, self.patience), min(30.0, max(0.1, self.patience / 2))

    def _adapter(self, **options: int) -> TrustingAdapter:
        """Connections that trust what the settings say, as many as there are workers."""
        context = self.trust or default_trust()
        return TrustingAdapter(context, pool_connections=4, pool_maxsize=self.workers, **options)

    def _open(self) -> Any:
        """The client, made at the first use; its pool fits the number of workers."""
        with self._opening:
            if self._client is None:
                client = Client(project=None)  # objects need none, and none may be set
                # Google's session, and the one by which it asks for credentials.
                client._http.mount("https://", self._adapter())
                client._http.mount("http://", self._adapter())
                asking = getattr(client._http, "_auth_request_session", None)
                if asking is not None:
                    asking.mount("https://", self._adapter(max_retries=3))  # as Google has it
                self._client = client
        return self._client


def _worth_another_try(error: Exception) -> bool:
    """What Google's client finds transient, but a certificate: it is refused again."""
    return not isinstance(error, SSLError) and bool(DEFAULT_RETRY._predicate(error))


def _digest(body: bytes) -> str:
    """Cloud Storage's own spelling of an object's md5."""
    return base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
