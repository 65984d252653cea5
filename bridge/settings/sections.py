"""What can be configured: sections, their bounds, and the words that errors show."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from bridge.model.numbers import FIRST_CALLED, mark_of
from bridge.settings.access import AccessSettings
from bridge.settings.ox import (
    JsmSettings,
    NoticesSettings,
    OpsgenieSettings,
    OxSettings,
    PagerDutySettings,
    RemediationSettings,
    SnykSettings,
)
from bridge.settings.receivers import ChangesSettings
from bridge.settings.sources import (
    MOST_SOURCES,
    GitLabSettings,
    SourceSettings,
    host_of,
    is_one_gitlab,
)
from bridge.settings.values import Duration, Section, TextList


class OwnersSettings(Section):
    """How owners are resolved. Where teams are known, a name that is none of them is a mistake.

    The known ones are groups and users that another provider puts into Backstage.
    """

    known: TextList = Field((), description="their references, such as group:default/payments")
    known_file: Path | None = Field(
        None, description="a text with a reference a line, or YAML or JSON with entities"
    )
    backstage: bool = Field(
        False, description="groups and users that the catalog of `backstage.url` has from others"
    )
    table: dict[str, str] = Field({}, description="names in manifests, and the owners they mean")
    invent: bool | None = Field(
        None, description="make a Group of every owner's name; by default where no teams are known"
    )


class GuardSettings(Section):
    """When removals are withheld until somebody accepts them."""

    share: float = Field(0.2, ge=0, le=1, description="share of the catalog")
    at_least: int = Field(10, ge=1, description="and at least so many entities")


class BackstageSettings(Section):
    """The Backstage that reads what is published."""

    url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#@]+(/[^\s?#@]*)?)?$",
        description="its backend's address, such as https://backstage.example.com",
    )
    refresh: bool = Field(False, description="tell it what changed after each publish")


class RelationsSettings(Section):
    """What becomes of relations in the catalog."""

    dangling: Literal["leave-out", "publish"] = Field(
        "leave-out",
        description="a dependency on a component that no manifest describes: leave-out, or publish",
    )


class Settings(Section):
    """Everything that can be configured."""

    source: str = Field(
        "", alias="from", description="a GitLab URL, or a folder of checkouts; or a list of GitLabs"
    )
    further: tuple[SourceSettings, ...] = Field((), description="the rest of the list in `from`")
    to: TextList = Field((), description="folders or gs://bucket/prefix")
    mappings: Path | None = Field(None, description="a folder that overrides shipped mappings")
    store: str = Field("sqlite:///fester.db", description="sqlite:///FILE or postgresql://…")
    every: Annotated[Duration, Field(ge=1)] = Field(600.0, description="time between two passes")
    full_every: Annotated[Duration, Field(ge=1)] = Field(
        21600.0, description="time between two passes that read everything, not only what changed"
    )
    history: Annotated[Duration, Field(ge=3_600)] = Field(
        90 * 86_400.0, description="how long what changed in the catalog is kept"
    )
    lease: Annotated[Duration, Field(ge=1)] = Field(
        15.0, description="time after which another replica takes over from one that died"
    )
    share_sweeps: bool = Field(
        True, description="whether processes on one PostgreSQL read a sweep together"
    )
    host: str = Field("127.0.0.1", description="address that `serve` listens on")
    port: int = Field(8080, ge=0, le=65535, description="port that `serve` listens on")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="how others reach `serve`, such as https://fester.example.com or https://example.com/fester",
    )
    location_prefix: str = Field(
        "fester",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$",
        description="how the published Location entities' names begin",
    )
    ca_file: Path | None = Field(
        None, description="certificates (PEM) to trust beside the public ones, everywhere"
    )
    access: AccessSettings = AccessSettings()
    backstage: BackstageSettings = BackstageSettings()
    changes: ChangesSettings = ChangesSettings()
    gitlab: GitLabSettings = GitLabSettings()
    guard: GuardSettings = GuardSettings()
    owners: OwnersSettings = OwnersSettings()
    ox: OxSettings = OxSettings()
    relations: RelationsSettings = RelationsSettings()
    remediation: RemediationSettings = RemediationSettings()
    notices: NoticesSettings = NoticesSettings()
    snyk: SnykSettings = SnykSettings()
    pagerduty: PagerDutySettings = PagerDutySettings()
    opsgenie: OpsgenieSettings = OpsgenieSettings()
    jsm: JsmSettings = JsmSettings()
    token: SecretStr | None = Field(None, exclude=True, description="from GITLAB_TOKEN")
    backstage_token: SecretStr | None = Field(
        None, exclude=True, description="from FESTER_BACKSTAGE_TOKEN"
    )
    snyk_token: SecretStr | None = Field(None, exclude=True, description="from SNYK_TOKEN")
    pagerduty_token: SecretStr | None = Field(
        None, exclude=True, description="from PAGERDUTY_TOKEN"
    )
    opsgenie_token: SecretStr | None = Field(None, exclude=True, description="from OPSGENIE_TOKEN")
    jsm_token: SecretStr | None = Field(None, exclude=True, description="from JSM_TOKEN")
    digest_webhook: SecretStr | None = Field(
        None, exclude=True, description="from FESTER_DIGEST_WEBHOOK"
    )
    team_webhooks: dict[str, SecretStr] = Field(
        {}, exclude=True, description="from the variables that remediation.webhooks names"
    )
    webhook_token: SecretStr | None = Field(
        None, exclude=True, description="from FESTER_WEBHOOK_TOKEN"
    )
    webhook_signing_key: SecretStr | None = Field(
        None, exclude=True, description="from FESTER_WEBHOOK_SIGNING_KEY"
    )
    slack_signing_secret: SecretStr | None = Field(
        None, exclude=True, description="from FESTER_SLACK_SIGNING_SECRET"
    )
    token_variable: str = Field("GITLAB_TOKEN", exclude=True, description="of this source")
    source_secrets: dict[str, dict[str, SecretStr]] = Field(
        {},
        exclude=True,
        description="from GITLAB_TOKEN_NAME, FESTER_WEBHOOK_TOKEN_NAME and "
        "FESTER_WEBHOOK_SIGNING_KEY_NAME, by the names of further sources and these fields",
    )
    receiver_secrets: dict[str, SecretStr] = Field(
        {}, exclude=True, description="from FESTER_RECEIVER_SECRET_NAME, by a receiver's name"
    )
    secret_files: dict[str, Path] = Field(
        {}, exclude=True, description="where secrets that came from files are read anew, by field"
    )

    @model_validator(mode="before")
    @classmethod
    def _several_sources(cls, tree: Any) -> Any:
        """A list in `from`: the first item is the source, the others are further ones."""
        if not isinstance(tree, dict) or not isinstance(tree.get("from"), list | tuple):
            return tree
        first, *others = tree["from"] or ("",)
        return {**tree, "from": first, "further": others}

    @field_validator("source", mode="before")
    @classmethod
    def _a_text(cls, value: object) -> object:
        if isinstance(value, dict):
            raise ValueError(
                "the first item is a URL alone, whose token is in GITLAB_TOKEN; those after it "
                "have a name"
            )
        return value

    @field_validator("further", mode="before")
    @classmethod
    def _with_names(cls, value: object) -> object:
        if isinstance(value, list | tuple) and any(isinstance(each, str) for each in value):
            raise ValueError(
                "every item after the first has a name and a url, such as {name: lab, url: "
                "https://gitlab.lab.example.com}; its token is in GITLAB_TOKEN_LAB"
            )
        return value

    @field_validator("further")
    @classmethod
    def _each_source_once(cls, value: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
        names = [each.name for each in value]
        if FIRST_CALLED in names:
            raise ValueError(f"`{FIRST_CALLED}` is what the list's first item is called")
        if len(set(names)) < len(names) or len({mark_of(each) for each in names}) < len(names):
            raise ValueError("two sources have one name; give each its own")
        if len(value) > MOST_SOURCES:
            raise ValueError(f"at most {MOST_SOURCES} sources stand beside the first")
        return value

    @model_validator(mode="after")
    def _gitlabs_apart(self) -> Settings:
        sources = [(self.source, self.gitlab.url)]
        sources += [(each.url, each.gitlab.url) for each in self.further]
        if self.further and host_of(self.source) is None:
            raise ValueError("of several sources each is a GitLab; a folder stands alone in `from`")
        if any(is_one_gitlab(*pair) for pair in combinations(sources, 2)):
            raise ValueError(
                "two items of `from` are one GitLab; name it once, with its groups in "
                "`gitlab.groups`"
            )
        return self

    @field_validator("public_url")
    @classmethod
    def _without_a_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("store")
    @classmethod
    def _known_store(cls, value: str) -> str:
        value = value.strip()
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise ValueError("it holds line breaks or other control characters; copy it again")
        if not re.match(r"(sqlite|postgresql)(\+\w+)?://", value):
            raise ValueError("write sqlite:///FILE or postgresql://USER@HOST/DATABASE")
        return value
