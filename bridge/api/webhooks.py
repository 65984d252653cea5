"""`POST /webhooks/gitlab`: checked, answered at once, worked on later."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from aiohttp import web
from cachetools import TTLCache

from bridge.api.access import needs
from bridge.api.hooks import HookFilter, Understood, pushed_project, understand
from bridge.api.keys import CLOCK
from bridge.errors import StoreError
from bridge.model.access import Scope
from bridge.model.hints import Hint
from bridge.model.numbers import FIRST, FIRST_CALLED, TooLarge, number_of
from bridge.neighbours.signed_webhook import ID, SIGNATURE, TIMESTAMP, is_signature, signature

log = structlog.get_logger()

PATH = "/webhooks/gitlab"
BODY_LIMIT = 2 * 1024 * 1024
_SKEW = timedelta(minutes=5)
_PATIENCE = 10.0  # seconds for a body to arrive: GitLab gives an answer no longer
_REMEMBERED, _MINUTES = 20_000, 60
_LONGEST_KEY = 256


class DeliveryRefused(Exception):
    """A delivery that is not taken; `status` is the answer's."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


@dataclass(frozen=True, slots=True, repr=False)
class HookSecrets:
    """What opens the door to one GitLab's hooks, as it is now.

    `token` is its secret token, `signing_key` the bytes of its signing key; without either nothing
    is taken. `suffix` is how the variables of both end.
    """

    token: str = ""
    signing_key: bytes = b""
    suffix: str = ""

    def has_token(self, headers: Mapping[str, str]) -> bool:
        """Whether a delivery shows the secret token."""
        given = headers.get("X-Gitlab-Token", "")
        # Digests, so that not even the length shows in the time it takes.
        return bool(self.token) and hmac.compare_digest(_digest(given), _digest(self.token))

    def is_signed(self, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        """Whether a delivery's body was signed by the signing key, and lately."""
        stamp = headers.get(TIMESTAMP, "")
        if not _is_recent(stamp, now):
            return False
        right = signature(self.signing_key, headers.get(ID, ""), stamp, body)
        return is_signature(headers[SIGNATURE], right)


async def _nothing_further(project_id: int) -> frozenset[str]:
    """The further paths that were read of a project, where none ever are."""
    return frozenset()


@dataclass(slots=True, repr=False)
class Webhooks:
    """Takes hooks in and hands their hints to `put`, which raises `StoreError` if it cannot.

    Each GitLab sends them to an address of its own: `doors` gives by the GitLab's name what opens
    that one, so that no other's hook is taken for one of its own. `wanted` says what matters there.
    `further` tells what is read of the project of a number besides its manifests; it may raise
    `StoreError`. `counts` has how many deliveries were accepted, ignored, duplicate, refused,
    unkept.
    """

    put: Callable[[Iterable[Hint]], Awaitable[None]]
    wanted: Callable[[str], HookFilter]
    doors: Mapping[str, Callable[[], HookSecrets]] = field(
        default_factory=lambda: {FIRST: HookSecrets}
    )
    further: Callable[[int], Awaitable[frozenset[str]]] = _nothing_further
    counts: Counter[str] = field(default_factory=Counter)
    _seen: TTLCache[str, bool] = field(
        default_factory=lambda: TTLCache(_REMEMBERED, ttl=_MINUTES * 60)
    )

    @needs(Scope.PUBLIC)  # GitLab shows its own secret
    async def receive(self, request: web.Request) -> web.Response:
        """Answer one delivery; nothing of it is worked on here."""
        source = request.match_info.get("source", FIRST)
        try:
            if source not in self.doors:
                raise DeliveryRefused(404, "no source in `from` has this name")
            body, key = await _checked(request, self.doors[source]())
        except DeliveryRefused as refused:
            return self._refusal(refused, source)
        key = key and f"{source} {key}"
        if key and key in self._seen:
            return self._answer("duplicate")
        found = await self._understood(body, source)
        if not found.ignored:
            try:
                await self.put(filter(None, (hint.sent_by(source) for hint in found.hints)))
            except StoreError as error:
                # Not remembered as seen: when GitLab delivers it again, it is news.
                self.counts["unkept"] += 1
                log.error("A webhook was not kept", action="hook_unkept", error=str(error))
                reason = "it cannot be kept now; deliver it again"
                return web.json_response({"status": "unkept", "reason": reason}, status=503)
        if key:
            self._seen[key] = True
        if found.ignored:
            return self._answer("ignored", reason=found.ignored)
        return self._answer("accepted")

    def _refusal(self, refused: DeliveryRefused, source: str) -> web.Response:
        self.counts["refused"] += 1
        known = source in self.doors  # any other name is a stranger's text
        log.warning(
            "A webhook was refused",
            action="hook_refused",
            source=(source or FIRST_CALLED) if known else "",
            reason=str(refused),
        )
        answer = {"status": "refused", "reason": str(refused)}
        return web.json_response(answer, status=refused.status)

    async def _understood(self, body: bytes, source: str) -> Understood:
        wanted = self.wanted(source)
        try:
            tree = json.loads(body)
            pushed = pushed_project(tree)
            if pushed is not None:
                further = await self.further(number_of(source, pushed))
                wanted = replace(wanted, files=wanted.files | further)
            return understand(tree, wanted)
        except (StoreError, TooLarge):  # what a push touches cannot be compared with what was read
            return understand(tree, replace(wanted, everything=True))
        except (ValueError, RecursionError):  # after TooLarge, which is a ValueError, too
            return Understood(ignored="the body is not JSON, or nested too deep")

    def _answer(self, status: str, **more: str) -> web.Response:
        self.counts[status] += 1
        log.info("A webhook came", action="hook_received", status=status, **more)
        # GitLab disables a hook that answers anything else too often, whatever it says.
        return web.json_response({"status": status, **more}, status=202)


async def _checked(request: web.Request, secrets: HookSecrets) -> tuple[bytes, str]:
    """The body of a delivery that is GitLab's, and its key. Raises `DeliveryRefused`."""
    if not (secrets.token or secrets.signing_key):
        raise DeliveryRefused(
            403,
            f"webhooks are not set up here: set FESTER_WEBHOOK_TOKEN{secrets.suffix} (or "
            f"FESTER_WEBHOOK_SIGNING_KEY{secrets.suffix}) to the secret that this GitLab has for "
            "this webhook",
        )
    by_token = secrets.has_token(request.headers)
    signed = bool(secrets.signing_key and request.headers.get(SIGNATURE))
    if not (by_token or signed):
        raise DeliveryRefused(401, "the X-Gitlab-Token or webhook-signature is missing or wrong")
    body = await _bounded(request)
    if not by_token and not secrets.is_signed(request.headers, body, request.app[CLOCK]()):
        raise DeliveryRefused(
            401, "the webhook-signature does not fit, or is older than five minutes"
        )
    # A signature covers one header only: whoever replays a delivery can write the others.
    names = ("Idempotency-Key", ID) if by_token else (ID,)
    return body, _key(request.headers, names)


async def _bounded(request: web.Request) -> bytes:
    """The body, as long as it is small and quick. Raises `DeliveryRefused`."""
    too_large = DeliveryRefused(413, f"the body is larger than {BODY_LIMIT} bytes")
    if (request.content_length or 0) > BODY_LIMIT:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_PATIENCE):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > BODY_LIMIT:
                    raise too_large
                parts.append(chunk)
    except TimeoutError:
        raise DeliveryRefused(408, "the body did not arrive in time") from None
    return b"".join(parts)


def _is_recent(stamp: str, now: datetime) -> bool:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        return False
    return abs(now.timestamp() - int(stamp)) <= _SKEW.total_seconds()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _key(headers: Mapping[str, str], names: Iterable[str]) -> str:
    """What stays the same when GitLab delivers once more: the first of these headers."""
    key = next((value for name in names if (value := headers.get(name))), "")
    return key if len(key) <= _LONGEST_KEY else ""
