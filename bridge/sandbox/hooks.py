"""Webhooks as GitLab sends them: late, twice, out of order, and in GitLab's own words."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import uuid
from dataclasses import dataclass
from typing import Any

import aiohttp

from bridge.sandbox.project import SandboxProject
from bridge.sandbox.world import Happening, World

# GitLab gives a receiver ten seconds before the delivery counts as failed.
ANSWER_WITHIN = aiohttp.ClientTimeout(total=10)
NAMESPACE = uuid.UUID("6f1f9c1e-5d0f-4c5e-9a3b-1d2c3b4a5968")


@dataclass(frozen=True)
class HookDelivery:
    """One hook ready to send; a repeat is the same delivery with the same `Idempotency-Key`."""

    number: int
    event: str
    body: bytes
    sent_at: int

    @property
    def key(self) -> str:
        """What stays the same across retries."""
        return str(uuid.uuid5(NAMESPACE, f"{self.number}"))


class Hooks:
    """Collects what happens in a world and posts it to `url` when told to `deliver`.

    `system` sends pushes as system hooks do, without their commits. `repeats` is the probability
    that a delivery comes twice; `reorder` shuffles what is pending.
    `signing_key` (raw bytes) adds the newer `webhook-signature` headers. Closed with `close`.
    """

    def __init__(
        self,
        world: World,
        url: str,
        *,
        token: str = "",
        signing_key: bytes | None = None,
        system: bool = False,
        repeats: float = 0.0,
        reorder: bool = False,
        seed: int = 0,
    ) -> None:
        self.world = world
        self.url = url
        self.token = token
        self.signing_key = signing_key
        self.system = system
        self.repeats = repeats
        self.reorder = reorder
        self.pending: list[HookDelivery] = []
        self._dice = random.Random(seed)  # noqa: S311 — repeatable on purpose
        self._number = 0
        world.listeners.append(self._happened)

    def close(self) -> None:
        """Stop listening; what is pending stays undelivered."""
        self.world.listeners.remove(self._happened)

    async def deliver(self) -> list[int]:
        """Post all that is pending; gives the status of each delivery in the order sent.

        A receiver that cannot be reached counts as status 0; like GitLab, nothing is kept.
        """
        batch, self.pending = self.pending, []
        batch += [again for again in batch if self._dice.random() < self.repeats]
        if self.reorder:
            self._dice.shuffle(batch)
        async with aiohttp.ClientSession(timeout=ANSWER_WITHIN) as session:
            return [await self._post(session, delivery) for delivery in batch]

    async def _post(self, session: aiohttp.ClientSession, delivery: HookDelivery) -> int:
        try:
            async with session.post(
                self.url, data=delivery.body, headers=self.headers(delivery)
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    def headers(self, delivery: HookDelivery) -> dict[str, str]:
        """The headers of a delivery; the event's UUID and the key are stable across repeats."""
        kind = "Push Hook" if delivery.event == "push" and not self.system else "System Hook"
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitLab/18.4.2-ee",
            "X-Gitlab-Event": kind,
            "X-Gitlab-Event-UUID": str(uuid.uuid5(NAMESPACE, f"event-{delivery.number}")),
            "X-Gitlab-Webhook-UUID": str(uuid.uuid5(NAMESPACE, self.url)),
            "X-Gitlab-Instance": "http://127.0.0.1",
            "Idempotency-Key": delivery.key,
        }
        if self.token:
            headers["X-Gitlab-Token"] = self.token
        if self.signing_key is not None:
            headers |= _signature(self.signing_key, delivery)
        return headers

    def _happened(self, happening: Happening) -> None:
        self._number += 1
        project = self.world.get(happening.project_id)
        body = _push(happening, project) if happening.event == "push" else _system(happening)
        moment = happening.at or self.world.clock()
        if self.system and happening.event == "push":
            body |= {"commits": [], "total_commits_count": 0}
            del body["object_kind"]
        encoded = json.dumps(body).encode()
        delivery = HookDelivery(self._number, happening.event, encoded, int(moment.timestamp()))
        self.pending.append(delivery)


def _push(happening: Happening, project: SandboxProject | None) -> dict[str, Any]:
    commit = {
        "id": happening.after,
        "message": "Change files",
        "added": list(happening.added),
        "modified": list(happening.modified),
        "removed": list(happening.removed),
    }
    return {
        "object_kind": "push",
        "event_name": "push",
        "before": happening.before,
        "after": happening.after,
        "ref": f"refs/heads/{happening.branch}",
        "checkout_sha": happening.after,
        "project_id": happening.project_id,
        "project": {
            "id": happening.project_id,
            "name": project.name if project else happening.path,
            "path_with_namespace": happening.path,
            "default_branch": project.default_branch if project else happening.branch,
        },
        "commits": [commit],
        "total_commits_count": 1,
    }


def _system(happening: Happening) -> dict[str, Any]:
    if happening.event.startswith("group_"):
        return _of_group(happening)
    body: dict[str, Any] = {
        "event_name": happening.event,
        "project_id": happening.project_id,
        "path": happening.path.rpartition("/")[2],
        "path_with_namespace": happening.path,
        "updated_at": happening.at.isoformat() if happening.at else None,
    }
    if happening.old_path is not None:
        body["old_path_with_namespace"] = happening.old_path
    return body


def _of_group(happening: Happening) -> dict[str, Any]:
    body: dict[str, Any] = {
        "event_name": happening.event,
        "path": happening.path.rpartition("/")[2],
        "full_path": happening.path,
        "updated_at": happening.at.isoformat() if happening.at else None,
    }
    if happening.old_path is not None:
        body["old_path"] = happening.old_path.rpartition("/")[2]
        body["old_full_path"] = happening.old_path
    return body


def _signature(key: bytes, delivery: HookDelivery) -> dict[str, str]:
    signed = f"{delivery.key}.{delivery.sent_at}.".encode() + delivery.body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": delivery.key,
        "webhook-timestamp": str(delivery.sent_at),
        "webhook-signature": f"v1,{digest}",
    }
