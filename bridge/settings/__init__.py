"""Configuration. Secrets come from the environment only."""

from bridge.settings.given_secrets import normal_of
from bridge.settings.loading import load_settings
from bridge.settings.schema import settings_schema
from bridge.settings.sections import (
    ReceiverSettings,
    RemediationSettings,
    Settings,
    TokenSettings,
    is_loopback,
    signing_key,
)

__all__ = [
    "ReceiverSettings",
    "RemediationSettings",
    "Settings",
    "TokenSettings",
    "is_loopback",
    "load_settings",
    "normal_of",
    "settings_schema",
    "signing_key",
]
