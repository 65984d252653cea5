"""What all neighbours share, from settings: whose certificates are trusted, and live secrets."""

from __future__ import annotations

import ssl

from pydantic import SecretStr

from bridge.neighbours.tls import trust
from bridge.secret.live import Secret
from bridge.settings import Settings, normal_of
from bridge.settings.given_secrets import OF_RECEIVER


def trust_of(settings: Settings) -> ssl.SSLContext:
    """What verifies every neighbour's certificate. Raises `ConfigurationError`."""
    return trust(settings.ca_file)


def secret(settings: Settings, name: str) -> Secret | None:
    """The secret in a field of the settings, read anew from its file; None where there is none."""
    found: SecretStr | None = getattr(settings, name)
    return _live(settings, name, found) if found is not None else None


def team_webhook(settings: Settings, team: str) -> Secret:
    """The address of a team's webhook, read anew from its file."""
    return _live(settings, team, settings.team_webhooks[team], field="digest_webhook")


def receiver_secret(settings: Settings, name: str) -> Secret:
    """What signs what a receiver of changes is sent, read anew from its file."""
    found = settings.receiver_secrets[name]
    return _live(settings, f"{OF_RECEIVER}{name}", found, field="receiver_secret")


def _live(settings: Settings, key: str, value: SecretStr, field: str = "") -> Secret:
    file = settings.secret_files.get(key)
    variable = settings.token_variable if key == "token" else ""
    return Secret(value.get_secret_value(), file, variable=variable, normal=normal_of(field or key))
