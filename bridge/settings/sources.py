"""Which GitLabs are read, and how."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from bridge.language.paths import WILD_PARTS, is_pattern, usable, within
from bridge.settings.values import Duration, OwnName, Section, TextList

MOST_SOURCES: Final = 50


_PORTS: Final = {"http": 80, "https": 443}


def host_of(url: str) -> tuple[str, int | str, str] | None:
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


def is_one_gitlab(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two sources, (URL, `gitlab.url` or ""), are one GitLab as far as can be told.

    Where only one says at which path GitLab lies, the other is that one if it lies below it.
    """
    first, second = (host_of(base or url) for url, base in (one, other))
    if first is None or second is None or first[:2] != second[:2]:
        return False
    if one[1] and other[1]:
        return first[2] == second[2]
    if not one[1] and not other[1]:
        return True
    below, base = (second[2], first[2]) if one[1] else (first[2], second[2])
    return not base or f"{below}/".startswith(f"{base}/")


class DefaultsSettings(Section):
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


class GitLabSettings(Section):
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


class SourceSettings(Section):
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
        return suffix_of(self.name)


def suffix_of(name: str) -> str:
    """How the names of variables end that are of the further source with a name."""
    return name.upper().replace("-", "_")
