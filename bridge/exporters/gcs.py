"""Publishing to Google Cloud Storage, side by side, with generation preconditions.

One listing tells what is there (md5, generation); only what differs is uploaded. Every upload names
the generation that the listing saw (0: must not exist), so a publisher whose listing is stale stops
before it touches the index, and the index is replaced only if nobody else replaced it.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import md5
from threading import Lock
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
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

from bridge.errors import ConfigurationError, PublishConflict, PublishError
from bridge.exporters.plan import Plan, make_plan
from bridge.exporters.render import INDEX, SHARDS
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Receipt, Stage

_URL = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")
# Readers must see a change at once; public objects would else be cached for an hour.
_CACHE_CONTROL = "no-cache"
_WORKERS = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as the listing showed it."""

    md5: str
    generation: int


@dataclass(slots=True)
class GcsExporter:
    """Publishes below `url`, a `gs://bucket/prefix`. `patience` bounds retries, in seconds."""

    url: str
    patience: float = 60.0
    workers: int = _WORKERS
    bucket: str = field(init=False)
    prefix: str = field(init=False)
    _client: Any = field(init=False, default=None, repr=False)
    _opening: Lock = field(init=False, default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        found = _URL.fullmatch(self.url)
        if not found:
            message = (
                f"{self.url!r} is no bucket: expected gs://bucket or gs://bucket/prefix, with "
                "letters, digits and ._-/ in the prefix"
            )
            raise ConfigurationError([Problem(message, "destination-unknown")])
        self.bucket = found[1]
        prefix = (found[2] or "").strip("/")
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
        try:
            seen = self._listing(artifacts)
            plan = self._plan(artifacts, seen)
            if not dry_run:
                self._carry_out(plan, seen)
        except NotFound as error:
            raise PublishError(
                f"the bucket {self.bucket} does not exist, or the account may not see it"
            ) from error
        except (Forbidden, Unauthorized) as error:
            raise PublishError(
                f"Google refused access to the bucket {self.bucket}: the account needs "
                "roles/storage.objectUser on it"
            ) from error
        except GoogleAuthError as error:
            raise PublishError(
                f"no Google credentials for {self.url}: run `gcloud auth application-default "
                "login`, or set GOOGLE_APPLICATION_CREDENTIALS"
            ) from error
        except (GoogleAPICallError, RetryError, RequestException) as error:
            raise PublishError(
                f"Cloud Storage did not answer as it should ({type(error).__name__}) for "
                f"{self.patience:.0f} s; what was published before still stands, run again"
            ) from error
        return plan.receipt(self.name)

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
                timeout=self.patience,
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
        index = self._blob(INDEX).download_as_bytes(retry=self._retry(), timeout=self.patience)
        return make_plan(artifacts, existing, _digest, index)

    def _carry_out(self, plan: Plan, seen: Mapping[str, Seen]) -> None:
        def upload(artifact: Artifact) -> None:
            self._upload(artifact, seen.get(artifact.path))

        self._side_by_side(upload, plan.stage(Stage.ENTITIES))
        self._side_by_side(upload, plan.stage(Stage.INDEX))
        self._side_by_side(upload, plan.stage(Stage.DATA))
        self._side_by_side(lambda path: self._remove(path, seen[path]), plan.remove)

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

    def _upload(self, artifact: Artifact, seen: Seen | None) -> None:
        blob = self._blob(artifact.path)
        blob.cache_control = _CACHE_CONTROL
        generation = seen.generation if seen else 0
        try:
            blob.upload_from_string(
                artifact.body,
                content_type=artifact.content_type,
                if_generation_match=generation,
                checksum="md5",
                retry=self._retry(),
                timeout=self.patience,
            )
        except PreconditionFailed as error:
            # A retry after a lost answer finds its own upload there: that is success.
            if self._md5_now(artifact.path) != _digest(artifact.body):
                raise PublishConflict(
                    f"{self.url}: {artifact.path} was changed by somebody else meanwhile; "
                    "the next pass publishes on top of it"
                ) from error

    def _md5_now(self, path: str) -> str | None:
        found = (
            self._open()
            .bucket(self.bucket)
            .get_blob(f"{self.prefix}{path}", retry=self._retry(), timeout=self.patience)
        )
        return found.md5_hash if found is not None else None

    def _remove(self, path: str, seen: Seen) -> None:
        try:
            self._blob(path).delete(
                if_generation_match=seen.generation, retry=self._retry(), timeout=self.patience
            )
        except NotFound:
            return  # a retried delete finds its work done
        except PreconditionFailed as error:
            raise PublishConflict(
                f"{self.url}: {path} was written by somebody else while it was to be removed"
            ) from error

    def _blob(self, path: str) -> Any:
        return self._open().bucket(self.bucket).blob(f"{self.prefix}{path}")

    def _retry(self) -> Any:
        return DEFAULT_RETRY.with_timeout(self.patience).with_delay(
            initial=min(1.0, self.patience / 10), maximum=10.0
        )

    def _open(self) -> Any:
        """The client, made at the first use; its pool fits the number of workers."""
        with self._opening:
            if self._client is None:
                client = Client()
                adapter = HTTPAdapter(pool_connections=4, pool_maxsize=self.workers)
                client._http.mount("https://", adapter)
                client._http.mount("http://", adapter)
                self._client = client
        return self._client


def _digest(body: bytes) -> str:
    """Cloud Storage's own spelling of an object's md5."""
    return base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
