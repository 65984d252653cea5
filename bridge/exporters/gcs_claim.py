"""A claim on a destination in a bucket: of two publishers only one is at work.

The claim is a small object that its holder writes anew every few seconds. It is over when that
has not happened for as long as the claim itself says, by the bucket's own clock: the hosts' clocks
may say what they like. A holder that was paused may wake up after that and believe that it still
holds it, so nothing rests on the claim alone: see `bridge.exporters.gcs`.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event, Lock, Thread

from bridge.errors import PublishConflict
from bridge.exporters.gcs_objects import LOST, Objects, SeenObject

CLAIM = ".fester-lease"
_LONGEST = 3600.0  # seconds that a claim may ask for, whatever it says
_JSON = "application/json"


@dataclass(slots=True)
class BucketClaim:
    """A claim that is held. `inherited`: its last holder never gave it back."""

    objects: Objects
    body: bytes
    generation: int
    inherited: bool
    _lock: Lock = field(default_factory=Lock)
    _over: Event = field(default_factory=Event)

    def check(self) -> None:
        """Raise `PublishConflict` unless the claim is held at this moment."""
        with self._lock:
            found = self.objects.find(CLAIM)
            if found is None or found.generation != self.generation:
                raise _taken(self.objects)

    def renew_every(self, seconds: float) -> None:
        """Write the claim anew until it is over; for a thread of its own."""
        while not self._over.wait(seconds):
            with self._lock:
                if self._over.is_set():
                    return
                try:
                    self.generation = self.objects.put(CLAIM, self.body, _JSON, self.generation)
                except PublishConflict:
                    return  # the next check finds it
                except LOST:
                    continue  # the bucket is away for a while; so it is for the publish

    def give_back(self) -> None:
        """Let others publish at once; a claim that cannot be given back ends by itself."""
        self._over.set()
        with self._lock, suppress(PublishConflict, *LOST):
            self.objects.remove(CLAIM, self.generation)


@contextmanager
def held(objects: Objects, seconds: float) -> Iterator[BucketClaim]:
    """Hold the destination alone. Raises `PublishConflict` while another publisher holds it."""
    body = json.dumps({"holder": _this_process(), "seconds": seconds}).encode()
    claim = _claim(objects, body, seconds)
    # Google takes one write a second to the same name.
    renewing = Thread(
        target=claim.renew_every, args=(max(1.0, seconds / 3),), name="gcs-claim", daemon=True
    )
    renewing.start()
    try:
        yield claim
    finally:
        claim.give_back()


def _claim(objects: Objects, body: bytes, seconds: float) -> BucketClaim:
    found = objects.find(CLAIM)
    if found is not None:
        _refuse_while_held(objects, found, seconds)
    try:
        generation = objects.put(CLAIM, body, _JSON, found.generation if found else 0)
    except PublishConflict:
        raise PublishConflict(
            f"{objects.url}: another Fester began to publish here at the same time; run again, or "
            "give each publisher a prefix of its own",
            free_in=seconds,
        ) from None
    return BucketClaim(objects, body, generation, inherited=found is not None)


def _refuse_while_held(objects: Objects, found: SeenObject, seconds: float) -> None:
    holder, lasts = _said(objects.read(CLAIM, found.generation), seconds)
    if lasts <= 0 or found.updated is None:
        return
    free_at = found.updated + timedelta(seconds=lasts)
    left = (free_at - objects.now()).total_seconds()
    if left > 0:
        raise PublishConflict(
            f"{objects.url}: another Fester{holder} is publishing here; if none is, one was killed "
            f"at work, and its claim ends at {free_at:%H:%M:%S} UTC: run again then",
            free_in=left + 1,  # the bucket's clock is known to the second
        )


def _said(body: bytes, seconds: float) -> tuple[str, float]:
    """Who holds a claim, as a part of a sentence, and for how long it lasts unless renewed."""
    try:
        tree = json.loads(body[:1000])
        holder, lasts = str(tree["holder"])[:200], float(tree["seconds"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return "", seconds  # an older Fester's
    plain = "".join(letter for letter in holder if letter.isprintable())
    return f" ({plain})", min(lasts, _LONGEST)


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _taken(objects: Objects) -> PublishConflict:
    return PublishConflict(
        f"{objects.url}: this publisher was held up for so long that another one took over; what "
        "it had not written yet stays unwritten, run again"
    )
