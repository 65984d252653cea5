"""Configuration: flags beat FESTER_… variables beat `fester.yaml`; every problem at once.

The file is found by `--config`, else `fester.yaml` in the working directory if there is one.
Secrets come from the environment only.
"""

from __future__ import annotations

import base64
import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bridge.errors import ConfigurationError
from bridge.model.problems import Problem

CONFIG_NAME = "fester.yaml"
PREFIX = "FESTER_"
TEAM_WEBHOOK = "FESTER_DIGEST_WEBHOOK_"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_CONFIG_LIMIT = 1_000_000  # bytes
# The fields that hold secrets, and the variables that they come from.
SECRETS = {
    "snyk_token": "SNYK_TOKEN",
    "pagerduty_token": "PAGERDUTY_TOKEN",
    "digest_webhook": "FESTER_DIGEST_WEBHOOK",
    "token": "GITLAB_TOKEN",
    "backstage_token": "FESTER_BACKSTAGE_TOKEN",
    "webhook_token": "FESTER_WEBHOOK_TOKEN",
    "webhook_signing_key": "FESTER_WEBHOOK_SIGNING_KEY",
}


def seconds(value: object) -> object:
    """ "90s", "10m", "6h", "1d" or a number of seconds → seconds; ValueError for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError("write a duration like 90s, 10m, 6h or 1d")
    return float(found[1]) * _UNITS[found[2]]


def _as_list(value: object) -> object:
    """A lone text is a list of one; in a variable, commas separate."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Duration = Annotated[float, BeforeValidator(seconds)]
TextList = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
TeamWebhook = Annotated[str, StringConstraints(pattern=r"^FESTER_DIGEST_WEBHOOK_[A-Z0-9_]{1,100}$")]
PluginId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class GitLabSettings(_Section):
    """How to crawl GitLab."""

    archived: bool = Field(False, description="read archived projects too")
    forks: bool = Field(True, description="read forks too")
    membership: bool = Field(False, description="only projects that the token's user is member of")
    exclude: TextList = Field((), description="globs of project paths to leave out")
    topics: TextList = Field((), description="only projects with one of these topics")
    groups: TextList = Field((), description="only these groups, with their subgroups")
    branches: dict[str, Annotated[str, Field(min_length=1, max_length=255)]] = Field(
        {}, description="globs of project paths, and the branch that those are read from"
    )
    concurrency: int = Field(8, ge=1, le=64, description="requests in flight")
    page_size: int = Field(
        50, ge=1, le=100, description="projects a GraphQL request, to start with"
    )
    timeout: Annotated[Duration, Field(gt=0)] = Field(40.0, description="bound of one request")


class OxSettings(_Section):
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


class RemediationGroup(_Section):
    """What is different for the projects of one group."""

    apply: bool | None = Field(None, description="whether actions are carried out there")
    per_service: int | None = Field(None, ge=0, le=100, description="open issues a service")
    per_run: int | None = Field(None, ge=0, le=1000, description="issues opened in a run there")
    confidential: bool | None = Field(None, description="open confidential issues there")


class OwnerContact(_Section):
    """Who hears of an owner's issues."""

    assignee: str = Field("", max_length=255, description="a GitLab user name")
    mention: str = Field("", max_length=255, description="a GitLab user or group, like @shop/api")


class RemediationSettings(_Section):
    """What Ox may do about deficiencies; without `apply` it only plans."""

    plan: bool = Field(True, description="plan after scoring in `serve`")
    apply: bool = Field(False, description="carry out what is planned")
    groups: dict[str, RemediationGroup] = Field({}, description="by a group's path")
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
    waive_label: str = Field("ox::waived", min_length=1, max_length=100, description="a waiver's")
    confidential: bool = Field(False, description="open confidential issues")
    baseline: bool = Field(False, description="open issues for what failed from the start, too")
    merge_requests: TextList = Field((), description="of manifest, codeowners, runbook")
    digest: bool = Field(False, description="make a digest a team every week")
    webhooks: dict[str, TeamWebhook] = Field(
        {}, description="by team: the variable that holds the address its digest goes to"
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


class SnykSettings(_Section):
    """Which organization of Snyk is read; off without SNYK_TOKEN."""

    org: str = Field("", max_length=100, description="the organization's id")
    integration: str = Field(
        "", max_length=100, description="its integration with GitLab: registers missing projects"
    )
    url: str = Field("https://api.snyk.io", pattern=r"^https?://", description="another region's")


class PagerDutySettings(_Section):
    """Where PagerDuty is; off without PAGERDUTY_TOKEN."""

    url: str = Field("https://api.pagerduty.com", pattern=r"^https?://", description="the API")


class GuardSettings(_Section):
    """When removals are withheld until somebody accepts them."""

    share: float = Field(0.2, ge=0, le=1, description="share of the catalog")
    at_least: int = Field(10, ge=1, description="and at least so many entities")


class TokenSettings(_Section):
    """One static token, known by its hash."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="for the log")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="`fester token` prints it")
    scopes: Annotated[
        tuple[Literal["read", "operate"], ...], BeforeValidator(_as_list), Field(min_length=1)
    ] = Field(("read",), description="read, operate")


class AccessSettings(_Section):
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
        tuple[Literal["catalog", "metrics", "schemas"], ...], BeforeValidator(_as_list)
    ] = Field((), description="what needs no token: catalog, metrics, schemas")
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


class BackstageSettings(_Section):
    """The Backstage that reads what is published."""

    url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#@]+(/[^\s?#@]*)?)?$",
        description="its backend's address, such as https://backstage.example.com",
    )
    refresh: bool = Field(False, description="tell it what changed after each publish")


class Settings(_Section):
    """Everything that can be configured."""

    source: str = Field("", alias="from", description="a GitLab URL, or a folder of checkouts")
    to: TextList = Field((), description="folders or gs://bucket/prefix")
    mappings: Path | None = Field(None, description="a folder that overrides shipped mappings")
    store: str = Field("sqlite:///fester.db", description="sqlite:///FILE or postgresql://…")
    every: Annotated[Duration, Field(ge=1)] = Field(600.0, description="time between two passes")
    full_every: Annotated[Duration, Field(ge=1)] = Field(
        21600.0, description="time between two passes that read everything, not only what changed"
    )
    lease: Annotated[Duration, Field(ge=1)] = Field(
        15.0, description="time after which another replica takes over from one that died"
    )
    host: str = Field("127.0.0.1", description="address that `serve` listens on")
    port: int = Field(8080, ge=0, le=65535, description="port that `serve` listens on")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="how others reach `serve`, such as https://fester.example.com",
    )
    location_prefix: str = Field(
        "fester",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$",
        description="how the published Location entities' names begin",
    )
    access: AccessSettings = AccessSettings()
    backstage: BackstageSettings = BackstageSettings()
    gitlab: GitLabSettings = GitLabSettings()
    guard: GuardSettings = GuardSettings()
    ox: OxSettings = OxSettings()
    remediation: RemediationSettings = RemediationSettings()
    snyk: SnykSettings = SnykSettings()
    pagerduty: PagerDutySettings = PagerDutySettings()
    token: SecretStr | None = Field(None, exclude=True, description="from GITLAB_TOKEN")
    backstage_token: SecretStr | None = Field(
        None, exclude=True, description="from FESTER_BACKSTAGE_TOKEN"
    )
    snyk_token: SecretStr | None = Field(None, exclude=True, description="from SNYK_TOKEN")
    pagerduty_token: SecretStr | None = Field(
        None, exclude=True, description="from PAGERDUTY_TOKEN"
    )
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

    @field_validator("webhook_signing_key")
    @classmethod
    def _known_signing_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            signing_key(value.get_secret_value())
        return value

    @field_validator("store")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if not re.match(r"(sqlite|postgresql)(\+\w+)?://", value):
            raise ValueError("write sqlite:///FILE or postgresql://USER@HOST/DATABASE")
        return value


def load_settings(
    flags: Mapping[str, Any],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    need: tuple[str, ...] = (),
) -> Settings:
    """Merge flags, variables and the file; validate; return settings.

    `flags` holds what the command line gave (None or empty: not given), by the file's key names.
    `need` names keys that must not be empty. Raises `ConfigurationError` with every problem.
    """
    environment = os.environ if environment is None else environment
    problems: list[Problem] = []
    tree, places = _read_file(config, problems)
    _note_secrets(tree, places, problems)
    _overlay(tree, _from_variables(environment, places, problems), places)
    for key, value in flags.items():
        if value not in (None, (), ""):
            _overlay(tree, {key: value}, places, place=f"--{key.replace('_', '-')}")
    for key, variable in SECRETS.items():
        tree[key] = environment.get(variable) or None
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        problems.extend(_problem(item, places) for item in error.errors(include_url=False))
        raise ConfigurationError(problems) from None
    problems.extend(
        Problem(
            f"{_flag(key)} is missing: {_field_of(Settings, key).description}. "
            f"Give the flag, set {PREFIX}{key.upper()}, or write `{key}:` in {CONFIG_NAME}",
            "setting-missing",
        )
        for key in need
        if not (settings.source if key == "from" else getattr(settings, key))
    )
    problems.extend(_contradictions(settings, places))
    teams: dict[str, SecretStr] = {}
    for team, variable in settings.remediation.webhooks.items():
        if environment.get(variable):
            teams[team] = SecretStr(environment[variable])
            continue
        message = f"the variable {variable} is not set; it holds the address of {team}'s webhook"
        problems.append(_placed(message, places.get(("remediation", "webhooks", team), "")))
    if problems:
        raise ConfigurationError(problems)
    return settings.model_copy(update={"team_webhooks": teams})


def _contradictions(settings: Settings, places: Mapping[tuple[str, ...], str]) -> Iterator[Problem]:
    """What each setting allows and all of them together do not."""
    access, backstage = settings.access, settings.backstage
    wishes = {
        ("backstage", "refresh"): backstage.refresh,
        ("access", "backstage_users"): access.backstage_users,
        ("access", "backstage_plugins"): bool(access.backstage_plugins),
    }
    for path, wished in wishes.items():
        if wished and not backstage.url:
            message = f"`{'.'.join(path)}` needs `backstage.url`, the address of its backend"
            yield _placed(message, places.get(path, ""))
    if backstage.refresh and settings.backstage_token is None:
        yield _placed(
            f"`backstage.refresh` needs a token in {SECRETS['backstage_token']}: one of "
            "`backend.auth.externalAccess` in Backstage's app-config.yaml",
            places.get(("backstage", "refresh"), ""),
        )


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _read_file(
    config: Path | None, problems: list[Problem]
) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """The file as a tree, and where each key stands ("file:line:col")."""
    path = config or Path(CONFIG_NAME)
    if config is None and not path.exists():
        return {}, {}
    try:
        raw = path.read_bytes()
        if len(raw) > _CONFIG_LIMIT:
            raise ValueError(f"larger than {_CONFIG_LIMIT} bytes")
        loaded = YAML(typ="rt").load(raw.decode("utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = f"not YAML: {error.problem or error.context}"
        problem = Problem(message, "config-syntax", file=str(path), line=line, column=column)
        raise ConfigurationError([problem]) from None
    except (OSError, ValueError, YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problem = Problem(f"cannot be read: {reason}", "config-unreadable", file=str(path))
        raise ConfigurationError([problem]) from None
    if loaded is None:
        return {}, {}
    if not isinstance(loaded, CommentedMap):
        problem = Problem(
            "must hold `key: value` lines", "config-syntax", file=str(path), line=1, column=1
        )
        raise ConfigurationError([problem])
    places: dict[tuple[str, ...], str] = {}
    return _plain(loaded, (), str(path), places), places


def _plain(
    node: CommentedMap, above: tuple[str, ...], file: str, places: dict[tuple[str, ...], str]
) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in node.items():
        line, column = node.lc.key(key)
        path = (*above, str(key))
        places[path] = f"{file}:{line + 1}:{column + 1}"
        tree[str(key)] = (
            _plain(value, path, file, places) if isinstance(value, CommentedMap) else value
        )
    return tree


def signing_key(text: str) -> bytes:
    """The bytes of a webhook's signing key as GitLab shows it; ValueError for anything else."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not (text.startswith("whsec_") and key):
        raise ValueError("copy the key from GitLab as it is: whsec_ and then base64")
    return key


def _note_secrets(
    tree: dict[str, Any], places: Mapping[tuple[str, ...], str], problems: list[Problem]
) -> None:
    wherever = {"team_webhooks": f"{TEAM_WEBHOOK}… and name it in `remediation.webhooks`"}
    for key, variable in (SECRETS | wherever).items():
        if key in tree:
            del tree[key]
            message = f"a secret must not stand in a file; set the variable {variable} instead"
            problems.append(_placed(message, places.get((key,), "")))


def _from_variables(
    environment: Mapping[str, str],
    places: dict[tuple[str, ...], str],
    problems: list[Problem],
) -> dict[str, Any]:
    """FESTER_KEY and FESTER_SECTION__KEY as a tree; unknown ones are problems."""
    tree: dict[str, Any] = {}
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in SECRETS.values():
            continue
        if name.startswith(TEAM_WEBHOOK):
            continue
        path = tuple(name[len(PREFIX) :].lower().split("__"))
        if _field_of(Settings, path[0]) is None or path[0] in (*SECRETS, "team_webhooks"):
            problems.append(_unknown(name, path[0], f"variable {name}"))
            continue
        below: Any = tree
        for key in path[:-1]:
            below = below.setdefault(key, {}) if isinstance(below, dict) else below
        if not isinstance(below, dict):  # FESTER_GUARD=x beside FESTER_GUARD__SHARE
            continue  # the shorter one is a problem by itself
        below[path[-1]] = environment[name]
        places[path] = f"variable {name}"
    return tree


def _overlay(
    tree: dict[str, Any],
    over: Mapping[str, Any],
    places: dict[tuple[str, ...], str],
    place: str = "",
) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _overlay(tree[key], value, places)
        else:
            tree[key] = value
            if place:
                places[key,] = place


def _field_of(model: type[BaseModel], key: str) -> Any:
    """A model's field by the name that users write."""
    for name, found in model.model_fields.items():
        if key == (found.alias or name):
            return found
    return None


def _names(path: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    keys = iter(path)
    for key in keys:
        found = _field_of(model, key)
        below = getattr(found, "annotation", None)
        if get_origin(below) is dict:  # the next key is one that people choose
            next(keys, None)
        # A section, a list of sections, or sections by name.
        inside = (below, *get_args(below))
        sections = [m for m in inside if isinstance(m, type) and issubclass(m, BaseModel)]
        if not sections:
            return []
        model = sections[0]
    return [
        f.alias or name
        for name, f in model.model_fields.items()
        if name not in (*SECRETS, "team_webhooks")
    ]


def _unknown(shown: str, key: str, place: str, above: tuple[str, ...] = ()) -> Problem:
    near = difflib.get_close_matches(key, _names(above), n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(_names(above))}"
    return _placed(f"`{shown}` is not a setting: {hint}", place)


def _placed(message: str, place: str) -> Problem:
    """A problem at "file:line:col", or at a flag or variable."""
    found = re.fullmatch(r"(.+):(\d+):(\d+)", place)
    if found:
        return Problem(
            message, "setting-invalid", file=found[1], line=int(found[2]), column=int(found[3])
        )
    return Problem(message, "setting-invalid", file=place)


def _problem(item: Any, places: Mapping[tuple[str, ...], str]) -> Problem:
    path = tuple(str(part) for part in item["loc"] if isinstance(part, str))
    shown = ".".join(path)
    place = next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), "")
    if item["type"] == "extra_forbidden":
        return _unknown(shown, path[-1], place, path[:-1])
    message = item["msg"].removeprefix("Value error, ")
    return _placed(f"`{shown}`: {message[0].lower()}{message[1:]}", place)
