"""Who is told of changes in the catalog, from settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from bridge.exporters.change_receivers import ChangeReceivers, Receiver
from bridge.model.receivers import Wants
from bridge.settings import ReceiverSettings, Settings, signing_key
from bridge.store.store import SqlStore
from bridge.wiring.clock import utc_now
from bridge.wiring.neighbours import receiver_secret, trust_of
from bridge.wiring.owners import owner_ref


def change_receivers(
    settings: Settings, source: str, store: SqlStore, leads: Callable[[], bool] = lambda: True
) -> ChangeReceivers:
    """The receivers that the settings name; there may be none."""
    return ChangeReceivers(
        source,
        [_receiver(settings, each) for each in settings.changes.receivers],
        store.receivers,
        partial(store.entity_changes.find, source),
        utc_now,
        timedelta(seconds=settings.history),
        leads,
        trust_of(settings),
    )


def _receiver(settings: Settings, wanted: ReceiverSettings) -> Receiver:
    secret = receiver_secret(settings, wanted.name)
    return Receiver(wanted.name, wanted.url, lambda: signing_key(secret()), _wants(wanted))


def _wants(wanted: ReceiverSettings) -> Wants:
    return Wants(
        tuple(kind.lower() for kind in wanted.entity_kinds),
        wanted.kinds,
        tuple(owner_ref(name) for name in wanted.owners),
        tuple(glob.strip("/").lower() for glob in wanted.projects),
    )
