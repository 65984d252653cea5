"""Who may ask `serve`."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator

from bridge.settings.values import Section, as_list

PluginId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]


Origin = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$")]


# Hashes that samples and tutorials show: who pastes one opens the door to whoever read the same.
_GUESSED = frozenset(
    sha256(word.encode()).hexdigest()
    for word in ("", "foo", "bar", "test", "token", "secret", "password", "changeme", "admin")
)


class TokenSettings(Section):
    """One static token, known by its hash."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="for the log")
    sha256: str = Field(description="`fester token` prints it")
    scopes: Annotated[
        tuple[Literal["read", "operate"], ...], BeforeValidator(as_list), Field(min_length=1)
    ] = Field(("read",), description="read, operate")

    @field_validator("sha256")
    @classmethod
    def _of_a_real_token(cls, value: str) -> str:
        if not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError("expected 64 hexadecimal digits; `fester token NAME` prints the line")
        if value in _GUESSED:
            raise ValueError(
                "this is the hash of a word that everybody knows; `fester token NAME` makes a "
                "token that nobody guesses"
            )
        return value


class AccessSettings(Section):
    """Who may ask `serve`."""

    tokens: tuple[TokenSettings, ...] = Field((), description="static tokens, by their hashes")
    backstage_users: bool = Field(False, description="accept the tokens of Backstage's users")
    backstage_plugins: Annotated[tuple[PluginId, ...], BeforeValidator(as_list)] = Field(
        (), description="plugins of Backstage whose own tokens are accepted"
    )
    audiences: Annotated[tuple[PluginId, ...], BeforeValidator(as_list)] = Field(
        ("catalog", "tech-insights"), description="plugin ids that Fester answers for"
    )
    public: Annotated[
        tuple[Literal["catalog", "metrics", "schemas", "badges"], ...], BeforeValidator(as_list)
    ] = Field((), description="what needs no token: catalog, metrics, schemas, badges")
    origins: Annotated[tuple[Origin, ...], BeforeValidator(as_list)] = Field(
        (), description="other origins whose pages may ask"
    )

    @property
    def configured(self) -> bool:
        """Whether anybody has to show a token."""
        return bool(self.tokens or self.backstage_users or self.backstage_plugins)

    @field_validator("tokens")
    @classmethod
    def _each_once(cls, value: tuple[TokenSettings, ...]) -> tuple[TokenSettings, ...]:
        if len({token.name for token in value}) < len(value):
            raise ValueError("two tokens have one name; give each its own")
        return value
