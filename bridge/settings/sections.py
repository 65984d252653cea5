"""What can be configured: sections, their bounds, and the words that errors show."""

from __future__ import annotations

import base64
import json
import re
from hashlib import sha256
from ipaddress import ip_address
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from bridge.language.paths import WILD_PARTS, is_pattern, usable, within
from bridge.model.numbers import FIRST, FIRST_CALLED, mark_of

MOST_SOURCES: Final = 50
# What people wrote is validated with this context.
WRITTEN = "written"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")


_PORTS: Final = {"http": 80, "https": 443}


def _host_of(url: str) -> tuple[str, int | str, str] | None:
    """A URL's host in lower case, its port or its scheme's, and its path; None for what is none."""
    try:
        parts = urlsplit(url.strip())
        if parts.scheme not in _PORTS or not parts.hostname:
            return None
        return parts.hostname, _port_of(parts), parts.path.strip("/")
    except ValueError:
        return None


def _port_of(parts: SplitResult) -> int | str:
    try:
        return parts.port or _PORTS[parts.scheme]
    except ValueError:  # whoever connects tells that it is none
        return parts.netloc.rpartition(":")[2]


def _is_one_gitlab(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two sources, (URL, `gitlab.url` or ""), are one GitLab as far as can be told.

    Where only one says at which path GitLab lies, the other is that one if it lies below it.
    """
    first, second = (_host_of(base or url) for url, base in (one, other))
    if first is None or second is None or first[:2] != second[:2]:
        return False
    if one[1] and other[1]:
        return first[2] == second[2]
    if not one[1] and not other[1]:
        return True
    below, base = (second[2], first[2]) if one[1] else (first[2], second[2])
    return not base or f"{below}/".startswith(f"{base}/")


def signing_key(text: str) -> bytes:
    """The bytes of a webhook's signing key as GitLab shows it; ValueError for anything else."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not (text.startswith("whsec_") and key):
        raise ValueError("copy the key from GitLab as it is: whsec_ and then base64")
    return key


def seconds(value: object, info: ValidationInfo) -> object:
    """ "90s", "10m", "6h" or "1d" → seconds; ValueError for anything else.

    A number alone that a person wrote is refused: one means seconds, the next minutes. A program
    means seconds.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and info.context != WRITTEN:
        return float(value)
    text = "" if isinstance(value, bool) else str(value).strip()
    found = _DURATION.fullmatch(text)
    if found:
        return float(found[1]) * _UNITS[found[2]]
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("write a duration like 90s, 10m, 6h or 1d")
    if float(text) == 0:
        return 0.0
    raise ValueError(f"{text} of what? Write the unit: {text}s, {text}m or {text}h")


def _is_json_list(text: str) -> bool:
    if not text.lstrip().startswith("["):
        return False
    try:
        return isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False  # such as a glob


def _as_list(value: object) -> object:
    """A lone text is a list of one; in a variable, commas separate."""
    if isinstance(value, str):
        if _is_json_list(value):
            raise ValueError("write the items with commas between them, such as a,b, and no JSON")
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "pattern": r"^[0-9]+(\.[0-9]+)?\s*[smhd]?$",
            "x-message": "must be a duration like 90s, 10m, 6h or 1d",
        }
    ),
]
TextList = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


def _own_variable(value: str) -> str:
    """A variable of a team; what ends in _FILE names a file that holds a secret."""
    if value.endswith("_FILE"):
        raise ValueError(f"name {value.removesuffix('_FILE')}; {value} may hold its file's path")
    return value


def _no_file(value: str) -> str:
    """A source's name; GITLAB_TOKEN_FILE is a variable already."""
    if value == "file" or value.endswith("-file"):
        raise ValueError("a name that ends in `file` makes a variable that names a file")
    return value


TeamWebhook = Annotated[
    str,
    StringConstraints(pattern=r"^FESTER_DIGEST_WEBHOOK_[A-Z0-9_]{1,100}$"),
    AfterValidator(_own_variable),
]
PluginId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$")]


class _SettingsSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class DefaultsSettings(_SettingsSection):
    """Which file says what manifests inherit from the groups above them."""

    project: str = Field(
        min_length=1, max_length=1024, description="the full path of the project that keeps it"
    )
    path: str = Field("qm.defaults.yaml", max_length=1024, description="the file in that project")

    @field_validator("project", "path")
    @classmethod
    def _a_path(cls, value: str) -> str:
        path = value.strip().strip("/")
        if within("", path) != path or is_pattern(path):
            raise ValueError("write a path, such as platform/catalog-defaults")
        return path


class GitLabSettings(_SettingsSection):
    """How to crawl GitLab."""

    archived: bool = Field(False, description="read archived projects too")
    forks: bool = Field(True, description="read forks too")
    people: bool = Field(False, description="read groups and their members, as teams and users")
    membership: bool = Field(False, description="only projects that the token's user is member of")
    exclude: TextList = Field((), description="globs of project paths to leave out")
    url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#@]+(/[^\s?#@]*)?)?$",
        description="GitLab's own address, where it lies under a path: https://host/gitlab",
    )
    topics: TextList = Field((), description="only projects with one of these topics")
    groups: TextList = Field((), description="only these groups, with their subgroups")
    branches: dict[str, Annotated[str, Field(min_length=1, max_length=255)]] = Field(
        {}, description="globs of project paths, and the branch that those are read from"
    )
    nested: dict[str, TextList] = Field(
        {}, description="globs of project paths, and patterns of further manifests in those"
    )
    defaults: DefaultsSettings | None = Field(
        None, description="the file of a project that says what manifests inherit from groups"
    )
    find_definitions: bool = Field(
        False, description="look for an API's definition under common names where none is named"
    )
    concurrency: int = Field(8, ge=1, le=64, description="requests in flight")
    page_size: int = Field(
        50, ge=1, le=100, description="projects a GraphQL request, to start with"
    )
    timeout: Annotated[Duration, Field(gt=0)] = Field(40.0, description="bound of one request")

    @field_validator("nested")
    @classmethod
    def _can_be_looked_for(cls, given: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for pattern in (each for patterns in given.values() for each in patterns):
            if within("", pattern) != pattern or (is_pattern(pattern) and not usable(pattern)):
                raise ValueError(
                    f"{pattern!r} cannot be looked for: write a path from the repository's root, "
                    f"in which up to {WILD_PARTS} parts may hold * or ?, each for one level of "
                    "folders; ** is not understood"
                )
        return given


# What people call one of several, and variables end with.
OwnName: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"),
    AfterValidator(_no_file),
]


class SourceSettings(_SettingsSection):
    """A further GitLab whose projects are in the same catalog."""

    name: OwnName = Field(
        description="what Fester knows it by, whatever its address; kept for ever"
    )
    url: str = Field(
        pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/]", description="its URL, or that of a group"
    )
    gitlab: GitLabSettings = Field(
        GitLabSettings(), description="what is different there; all else is as in `gitlab`"
    )

    @model_validator(mode="after")
    def _under_its_own_address(self) -> SourceSettings:
        own = self.gitlab.url.rstrip("/")
        if own and not f"{self.url}/".startswith(f"{own}/"):
            raise ValueError(f"`gitlab.url` is {own}, and `url` does not lie under it")
        return self

    @property
    def suffix(self) -> str:
        """How the names of its variables end."""
        return self.name.upper().replace("-", "_")


class OxSettings(_SettingsSection):
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


class RemediationGroup(_SettingsSection):
    """What is different for the projects of one group."""

    apply: bool | None = Field(None, description="whether actions are carried out there")
    per_service: int | None = Field(None, ge=0, le=100, description="open issues a service")
    per_run: int | None = Field(None, ge=0, le=1000, description="issues opened in a run there")
    confidential: bool | None = Field(None, description="open confidential issues there")


class OwnerContact(_SettingsSection):
    """Who hears of an owner's issues."""

    assignee: str = Field("", max_length=255, description="a GitLab user name")
    mention: str = Field("", max_length=255, description="a GitLab user or group, like @shop/api")


class RemediationSettings(_SettingsSection):
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


class NoticesSettings(_SettingsSection):
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


class SnykSettings(_SettingsSection):
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


class PagerDutySettings(_SettingsSection):
    """Where PagerDuty is; off without PAGERDUTY_TOKEN."""

    url: str = Field("https://api.pagerduty.com", pattern=r"^https?://", description="the API")


class OpsgenieSettings(_SettingsSection):
    """Where Opsgenie is; off without OPSGENIE_TOKEN."""

    url: str = Field(
        "https://api.opsgenie.com",
        pattern=r"^https?://",
        description="the API; in the EU https://api.eu.opsgenie.com",
    )


class OwnersSettings(_SettingsSection):
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


class GuardSettings(_SettingsSection):
    """When removals are withheld until somebody accepts them."""

    share: float = Field(0.2, ge=0, le=1, description="share of the catalog")
    at_least: int = Field(10, ge=1, description="and at least so many entities")


# Hashes that samples and tutorials show: who pastes one opens the door to whoever read the same.
_GUESSED = frozenset(
    sha256(word.encode()).hexdigest()
    for word in ("", "foo", "bar", "test", "token", "secret", "password", "changeme", "admin")
)


class TokenSettings(_SettingsSection):
    """One static token, known by its hash."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="for the log")
    sha256: str = Field(description="`fester token` prints it")
    scopes: Annotated[
        tuple[Literal["read", "operate"], ...], BeforeValidator(_as_list), Field(min_length=1)
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


class AccessSettings(_SettingsSection):
    """Who may ask `serve`."""

    tokens: tuple[TokenSettings, ...] = Field((), description="static tokens, by their hashes")
    backstage_users: bool = Field(False, description="accept the tokens of Backstage's users")
    backstage_plugins: Annotated[tuple[PluginId, ...], BeforeValidator(_as_list)] = Field(
        (), description="plugins of Backstage whose own tokens are accepted"
    )
    audiences: Annotated[tuple[PluginId, ...], BeforeValidator(_as_list)] = Field(
        ("catalog", "tech-insights"), description="plugin ids that Fester answers for"
    )
    public: Annotated[
        tuple[Literal["catalog", "metrics", "schemas", "badges"], ...], BeforeValidator(_as_list)
    ] = Field((), description="what needs no token: catalog, metrics, schemas, badges")
    origins: Annotated[tuple[Origin, ...], BeforeValidator(_as_list)] = Field(
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


class BackstageSettings(_SettingsSection):
    """The Backstage that reads what is published."""

    url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#@]+(/[^\s?#@]*)?)?$",
        description="its backend's address, such as https://backstage.example.com",
    )
    refresh: bool = Field(False, description="tell it what changed after each publish")


def _for_a_receiver(value: str) -> str:
    """https, or this machine itself: what is sent is nobody else's business."""
    try:
        parts = urlsplit(value)
        host, usable = parts.hostname or "", parts.port != 0
    except ValueError:
        host, usable = "", False
    if not (usable and host and parts.scheme in _PORTS) or parts.fragment:
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


class ReceiverSettings(_SettingsSection):
    """Who is told of changes in the catalog; all filters that are given must fit."""

    name: OwnName = Field(description="what Fester knows it by, and remembers how far it was told")
    url: Annotated[str, AfterValidator(_for_a_receiver)] = Field(
        max_length=2000, description="its address: https://host/path"
    )
    entity_kinds: TextList = Field((), description="of these kinds, such as component")
    kinds: Annotated[
        tuple[Literal["added", "changed", "removed"], ...], BeforeValidator(_as_list)
    ] = Field((), description="added, changed, removed")
    owners: TextList = Field((), description="of these owners, before or after")
    projects: TextList = Field((), description="globs of the paths of projects that changed it")

    @property
    def suffix(self) -> str:
        """How the name of its secret's variable ends."""
        return self.name.upper().replace("-", "_")


class ChangesSettings(_SettingsSection):
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


class RelationsSettings(_SettingsSection):
    """What becomes of relations in the catalog."""

    dangling: Literal["leave-out", "publish"] = Field(
        "leave-out",
        description="a dependency on a component that no manifest describes: leave-out, or publish",
    )


class Settings(_SettingsSection):
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
        False, description="whether processes on one PostgreSQL read a sweep together"
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
    token: SecretStr | None = Field(None, exclude=True, description="from GITLAB_TOKEN")
    backstage_token: SecretStr | None = Field(
        None, exclude=True, description="from FESTER_BACKSTAGE_TOKEN"
    )
    snyk_token: SecretStr | None = Field(None, exclude=True, description="from SNYK_TOKEN")
    pagerduty_token: SecretStr | None = Field(
        None, exclude=True, description="from PAGERDUTY_TOKEN"
    )
    opsgenie_token: SecretStr | None = Field(None, exclude=True, description="from OPSGENIE_TOKEN")
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
        if self.further and _host_of(self.source) is None:
            raise ValueError("of several sources each is a GitLab; a folder stands alone in `from`")
        if any(_is_one_gitlab(*pair) for pair in combinations(sources, 2)):
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
