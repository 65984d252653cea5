"""Configuration. Secrets come from the environment only."""

from bridge.settings.access import TokenSettings
from bridge.settings.given_secrets import normal_of
from bridge.settings.loading import load_settings
from bridge.settings.ox import RemediationSettings
from bridge.settings.receivers import ReceiverSettings, is_loopback
from bridge.settings.schema import settings_schema
from bridge.settings.sections import Settings
from bridge.settings.values import signing_key

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
