"""Facts, remediation and notices, and the tools that are asked."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from bridge.model.numbers import FIRST, FIRST_CALLED
from bridge.settings.values import Duration, Section, TextList


def _own_variable(value: str) -> str:
    """A variable of a team; what ends in _FILE names a file that holds a secret."""
    if value.endswith("_FILE"):
        raise ValueError(f"name {value.removesuffix('_FILE')}; {value} may hold its file's path")
    return value


TeamWebhook = Annotated[
    str,
    StringConstraints(pattern=r"^FESTER_DIGEST_WEBHOOK_[A-Z0-9_]{1,100}$"),
    AfterValidator(_own_variable),
]


class OxSettings(Section):
    """Facts: how they are asked for, and how much of their history is kept."""

    collect: bool = Field(True, description="collect facts after each pass of `serve`")
    concurrency: int = Field(4, ge=1, le=32, description="projects asked at once over REST")
    timeout: Annotated[Duration, Field(gt=0)] = Field(20.0, description="bound of one REST request")
    interval: Annotated[Duration, Field(ge=1)] = Field(
        86_400.0, description="history keeps one reading of a fact in so long a time"
    )
    thin_after: Annotated[Duration, Field(ge=86_400)] = Field(
        90 * 86_400.0, description="readings and scores older than this are thinned"
    )
    thin_to: Annotated[Duration, Field(ge=3_600)] = Field(
        7 * 86_400.0, description="to one in so long a time"
    )
    keep: Annotated[Duration, Field(ge=86_400)] = Field(
        730 * 86_400.0, description="readings and scores older than this are forgotten"
    )
    publish: bool = Field(False, description="publish score and level with the entities")


def group_named(written: str) -> tuple[str, str]:
    """A group as `remediation.groups` names it: of which source, and its path there.

    `lab:tools` is that of the source `lab`, `first:tools` or `tools` alone the first one's.
    """
    source, colon, path = written.rpartition(":")
    return FIRST if not colon or source == FIRST_CALLED else source, path.strip("/")


class RemediationGroup(Section):
    """What is different for the projects of one group."""

    apply: bool | None = Field(None, description="whether actions are carried out there")
    per_service: int | None = Field(None, ge=0, le=100, description="open issues a service")
    per_run: int | None = Field(None, ge=0, le=1000, description="issues opened in a run there")
    confidential: bool | None = Field(None, description="open confidential issues there")


class OwnerContact(Section):
    """Who hears of an owner's issues."""

    assignee: str = Field("", max_length=255, description="a GitLab user name")
    mention: str = Field("", max_length=255, description="a GitLab user or group, like @shop/api")


class RemediationSettings(Section):
    """What Ox may do about deficiencies; without `apply` it only plans."""

    plan: bool = Field(True, description="plan after scoring in `serve`")
    apply: bool = Field(False, description="carry out what is planned")
    groups: dict[str, RemediationGroup] = Field(
        {}, description="by a group's path; of several GitLabs by NAME:PATH"
    )
    owners: dict[str, OwnerContact] = Field({}, description="by an owner's reference or name")
    per_service: int = Field(3, ge=0, le=100, description="open issues a service at most")
    per_run: int = Field(20, ge=0, le=1000, description="issues opened in a run at most")
    snooze: Annotated[Duration, Field(ge=86_400)] = Field(
        30 * 86_400.0, description="quiet after a person closed an issue"
    )
    settle: Annotated[Duration, Field(ge=0, le=604_800)] = Field(
        3_600.0, description="time between two looks at a check that count as two"
    )
    breaker: float = Field(0.1, ge=0, le=1, description="share of services that may flip at once")
    label: str = Field("ox", min_length=1, max_length=100, description="every issue's label")
    bots: TextList = Field((), description="user names of earlier tokens' bot users")
    waive_label: str = Field("ox::waived", min_length=1, max_length=100, description="a waiver's")
    confidential: bool = Field(False, description="open confidential issues")
    baseline: bool = Field(False, description="open issues for what failed from the start, too")
    merge_requests: TextList = Field((), description="of manifest, codeowners, runbook")
    digest: bool = Field(False, description="make a digest a team every week")
    webhooks: dict[str, TeamWebhook] = Field(
        {}, description="by team: the variable that holds its webhook's address"
    )

    @field_validator("merge_requests")
    @classmethod
    def _known_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [kind for kind in value if kind not in ("manifest", "codeowners", "runbook")]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not one of manifest, codeowners, runbook")
        return value

    @field_validator("label", "waive_label")
    @classmethod
    def _one_label(cls, value: str) -> str:
        if "," in value:
            raise ValueError("a label must not hold a comma")
        return value


class NoticesSettings(Section):
    """What teams hear of at once; the digests' webhooks take it."""

    send: bool = Field(False, description="tell teams what is news for them")
    backstage: bool = Field(False, description="also as notifications in Backstage")
    quiet: str = Field(
        "",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$",
        description="hours in which nobody is written to, such as 20:00-07:00",
    )
    timezone: str = Field("UTC", max_length=60, description="whose hours, such as Europe/Berlin")
    apart: Annotated[Duration, Field(ge=0, le=86_400)] = Field(
        3_600.0, description="time between two messages to a team at least"
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("expected a time zone such as Europe/Berlin or UTC") from None
        return value

    @field_validator("quiet")
    @classmethod
    def _not_all_day(cls, value: str) -> str:
        if value and value[:5] == value[6:]:
            raise ValueError("that is all day: nobody would ever hear of anything")
        return value


# https://docs.snyk.io/snyk-api/reference/projects-v1
SnykTagKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,30}$")]


class SnykSettings(Section):
    """Which organizations of Snyk are read; off without SNYK_TOKEN."""

    org: str = Field("", max_length=100, description="the organization's id")
    others: TextList = Field((), description="ids of more organizations that are read, too")
    integration: str = Field(
        "", max_length=100, description="its integration with GitLab: registers missing projects"
    )
    url: str = Field("https://api.snyk.io", pattern=r"^https?://", description="another region's")
    tags: dict[Literal["owner", "tier", "system"], SnykTagKey] = Field(
        {}, description="keys of tags that are ours, by what they say: {owner: team}"
    )
    propose_deactivation: bool = Field(
        False, description="propose to deactivate projects of archived repositories"
    )
    deactivate: bool = Field(False, description="deactivate what is proposed, where `apply` is on")
    per_run: int = Field(50, ge=1, le=1000, description="projects tagged, and deactivated, a run")

    @model_validator(mode="after")
    def _settled(self) -> SnykSettings:
        if self.deactivate and not self.propose_deactivation:
            raise ValueError("`deactivate` needs `propose_deactivation: true`, too")
        if len(set(self.tags.values())) < len(self.tags):
            raise ValueError("two of `tags` have one key; give each a key of its own")
        return self


class PagerDutySettings(Section):
    """Where PagerDuty is; off without PAGERDUTY_TOKEN."""

    url: str = Field("https://api.pagerduty.com", pattern=r"^https?://", description="the API")


class OpsgenieSettings(Section):
    """Where Opsgenie is; off without OPSGENIE_TOKEN."""

    url: str = Field(
        "https://api.opsgenie.com",
        pattern=r"^https?://",
        description="the API; in the EU https://api.eu.opsgenie.com",
    )


class JsmSettings(Section):
    """Where Jira Service Management is; off without JSM_TOKEN."""

    cloud: str = Field(
        "", max_length=100, description="the site's id, of https://SITE/_edge/tenant_info"
    )
    user: str = Field(
        "", max_length=255, description="whose API token it is, by e-mail; empty for a Bearer"
    )
    url: str = Field("https://api.atlassian.com", pattern=r"^https?://", description="the API")

    @field_validator("user")
    @classmethod
    def _a_name(cls, value: str) -> str:
        if ":" in value or not value.isprintable():
            raise ValueError("expected the e-mail address of the token's user")
        return value
