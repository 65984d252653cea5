"""The objects below one prefix of a bucket: seen, read, put and removed by their generations.

Whatever Google's client raises becomes a `PublishError` that says what to do, by `explained`.
Rules: https://cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
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

from bridge.errors import PublishConflict, PublishError
from bridge.neighbours.http_client import untrusted
from bridge.neighbours.requests_trust import TrustingAdapter, certificate_error
from bridge.neighbours.tls import trust as default_trust

# For all objects alike: a reader must see a change at once, and an index must never be newer than
# the shards beside it. Google's default lets caches keep public objects for an hour.
_CACHE_CONTROL = "no-cache"
LOST = (
    GoogleAPICallError,
    RetryError,
    RequestException,
    TransportError,
    DataCorruption,
    InvalidResponse,
    ConnectionError,
    TimeoutError,
    GoogleAuthError,
)


@dataclass(frozen=True, slots=True)
class SeenObject:
    """An object as it was seen; `updated` by the bucket's clock."""

    md5: str
    generation: int
    updated: datetime | None = None


@dataclass(slots=True)
class Objects:
    """What lies in `bucket` below `prefix`; paths are relative to it. Blocks: for threads.

    `url` is the destination as people know it, `patience` bounds one request's retries (seconds).
    """

    url: str
    bucket: str
    prefix: str
    patience: float
    workers: int
    trust: ssl.SSLContext | None = field(default=None, repr=False)
    _client: Any = field(default=None, repr=False)
    _opening: Lock = field(default_factory=Lock, repr=False)
    _clock: tuple[datetime, float] | None = None  # what the bucket's clock said, and when

    def close(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @contextmanager
    def explained(self) -> Iterator[None]:
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
        except GoogleAuthError as error:
            if isinstance(error, TransportError):
                raise self._unanswered(error) from error
            raise PublishError(
                f"no usable Google credentials for {self.url}: run `gcloud auth "
                "application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
            ) from error
        except LOST as error:
            raise self._unanswered(error) from error

    def _unanswered(self, error: Exception) -> PublishError:
        code = getattr(error, "code", None)
        return PublishError(
            f"{self.url}: Cloud Storage did not answer as it should ({type(error).__name__}"
            f"{f' {int(code)}' if isinstance(code, int) else ''}), retries included; every "
            "file that the published index names still stands, run again"
        )

    def now(self) -> datetime:
        """The bucket's own clock, at most a second slow; never the host's.

        It is what the last answer's `Date` said (RFC 9110, 6.6.1: whole seconds), and the time
        since then.
        """
        if self._clock is None:
            raise PublishError(f"{self.url}: Cloud Storage gives no Date with its answers")
        said, when = self._clock
        return said + timedelta(seconds=monotonic() - when)

    def listing(self, folder: str) -> dict[str, SeenObject]:
        """Every object in a folder ("" or one that ends in "/"), by path."""
        blobs = self._open().list_blobs(
            self.bucket,
            prefix=f"{self.prefix}{folder}",
            delimiter="/",
            fields="items(name,md5Hash,generation),prefixes,nextPageToken",
            retry=self._retry(),
            timeout=self._timeout(),
        )
        return {blob.name[len(self.prefix) :]: _seen(blob) for blob in blobs}

    def find(self, path: str) -> SeenObject | None:
        """The object as it is now; None when it is not there."""
        bucket = self._open().bucket(self.bucket)
        blob = bucket.get_blob(f"{self.prefix}{path}", retry=self._retry(), timeout=self._timeout())
        return _seen(blob) if blob is not None else None

    def read(self, path: str, generation: int) -> bytes:
        """The content of just this generation. Raises `PublishConflict` when it is gone."""
        try:
            body: bytes = self._blob(path).download_as_bytes(
                if_generation_match=generation, retry=self._retry(), timeout=self._timeout()
            )
        except (NotFound, PreconditionFailed) as error:
            raise self.conflict(path) from error
        return body

    def put(self, path: str, body: bytes, content_type: str, generation: int) -> int:
        """Upload over `generation` (0: nothing) and nothing else; returns the new generation."""
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
            found = self.find(path)
            if found is None or found.md5 != digest(body):
                raise self.conflict(path) from error
            return found.generation
        return int(blob.generation or 0)

    def remove(self, path: str, generation: int) -> None:
        """Remove just this generation; one that is gone already is no error."""
        try:
            self._blob(path).delete(
                if_generation_match=generation, retry=self._retry(), timeout=self._timeout()
            )
        except NotFound:
            return  # a retried delete finds its work done
        except PreconditionFailed as error:
            raise self.conflict(path) from error

    def conflict(self, path: str) -> PublishConflict:
        """The error of an object that is not as it was seen."""
        return PublishConflict(
            f"{self.url}: {path} was changed by somebody else meanwhile; run again to publish on "
            "top of it, and give each publisher a prefix of its own"
        )

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
                client._http.hooks["response"].append(self._hear)
                self._client = client
        return self._client

    def _hear(self, answer: Any, *_: object, **__: object) -> None:
        try:
            said = parsedate_to_datetime(answer.headers.get("Date") or "")
        except ValueError:
            return
        self._clock = (said if said.tzinfo else said.replace(tzinfo=UTC), monotonic())


def _worth_another_try(error: Exception) -> bool:
    """What Google's client finds transient, but a certificate: it is refused again."""
    return not isinstance(error, SSLError) and bool(DEFAULT_RETRY._predicate(error))


def digest(body: bytes) -> str:
    """Cloud Storage's own spelling of an object's md5."""
    return base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()


def _seen(blob: Any) -> SeenObject:
    return SeenObject(blob.md5_hash or "", int(blob.generation or 0), blob.updated)
