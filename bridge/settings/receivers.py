"""Who is told of changes."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from bridge.settings.values import OwnName, Section, TextList, as_list


def _for_a_receiver(value: str) -> str:
    """https, or this machine itself: what is sent is nobody else's business."""
    try:
        parts = urlsplit(value)
        host, usable = parts.hostname or "", parts.port != 0
    except ValueError:
        host, usable = "", False
    if not (usable and host and parts.scheme in ("http", "https")) or parts.fragment:
        raise ValueError("it is no address; expected https://host/path")
    if parts.username or parts.password:
        raise ValueError("no name and password in it: what is sent is signed instead")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("expected https://; http:// is for this machine alone (127.0.0.1)")
    return value


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class ReceiverSettings(Section):
    """Who is told of changes in the catalog; all filters that are given must fit."""

    name: OwnName = Field(description="what Fester knows it by, and remembers how far it was told")
    url: Annotated[str, AfterValidator(_for_a_receiver)] = Field(
        max_length=2000, description="its address: https://host/path"
    )
    entity_kinds: TextList = Field((), description="of these kinds, such as component")
    kinds: Annotated[
        tuple[Literal["added", "changed", "removed"], ...], BeforeValidator(as_list)
    ] = Field((), description="added, changed, removed")
    owners: TextList = Field((), description="of these owners, before or after")
    projects: TextList = Field((), description="globs of the paths of projects that changed it")

    @property
    def suffix(self) -> str:
        """How the name of its secret's variable ends."""
        return self.name.upper().replace("-", "_")


class ChangesSettings(Section):
    """What becomes of changes in the catalog."""

    receivers: Annotated[tuple[ReceiverSettings, ...], Field(max_length=20)] = Field(
        (), description="webhooks that are told"
    )

    @field_validator("receivers")
    @classmethod
    def _each_once(cls, value: tuple[ReceiverSettings, ...]) -> tuple[ReceiverSettings, ...]:
        if len({each.name for each in value}) < len(value):
            raise ValueError("two receivers have one name; give each its own")
        return value
