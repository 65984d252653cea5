"""Snyk's API as far as it is needed: projects, their issues, imports, tags."""

from __future__ import annotations

import re
import ssl
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from bridge.ox.facts.json_api import PAGES, JsonApi, Unanswered, at, rows
from bridge.ox.facts.namesakes import elsewhere, same_place
from bridge.secret.live import Secret

BASE: Final = "https://api.snyk.io"


VERSION: Final = "2026-03-25"


_TITLE: Final = 120


_NAME: Final = re.compile(r"(?P<path>[^:()]+?)(\((?P<branch>[^)]*)\))?(:.*)?")


@dataclass(frozen=True, slots=True)
class SnykIssue:
    """An open issue. `key` is Snyk's own, which is the same for every project that has it."""

    key: str
    title: str
    severity: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SnykProject:
    """A project as Snyk has it: in which organization, and its id.

    `tags` are pairs of key and value, None where Snyk did not list them. `active` is whether Snyk
    says that it tests it. `address` is that of its repository, "" where Snyk did not say it.
    """

    org: str
    id: str
    tags: tuple[tuple[str, str], ...] | None = None
    active: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True)
class SnykListing:
    """Snyk's projects by the path of the repository in GitLab; `failures` says by organization
    why it could not be listed, `slugs` how an address of Snyk's pages calls it, where it says so.
    `gitlabs` are the addresses of all GitLabs that are read, where there are several.
    """

    projects: Mapping[str, Sequence[SnykProject]]
    failures: Mapping[str, Unanswered]
    slugs: Mapping[str, str] = field(default_factory=dict)
    gitlabs: Sequence[str] = ()

    def of(
        self, path: str, page: str, others: Sequence[str]
    ) -> tuple[Sequence[SnykProject], Sequence[SnykProject]]:
        """What Snyk has of a project of GitLab, and what may be its own or another GitLab's.

        What Snyk calls a project says its path and not its GitLab. So the path counts where one
        GitLab alone has it; where `others` do (the pages of their projects) the address counts.
        What has none, or one that is no page of theirs, is nobody's. What lies in another GitLab
        is never its own, also where Fester knows no such project there.
        """
        found = [
            one
            for one in self.projects.get(path.lower(), ())
            if not elsewhere(one.address, page, self.gitlabs)
        ]
        if not others:
            return found, ()
        mine = [one for one in found if same_place(one.address, page)]
        unclear = [
            one
            for one in found
            if one not in mine and not any(same_place(one.address, other) for other in others)
        ]
        return mine, unclear


@dataclass(frozen=True, slots=True)
class ImportJob:
    """An import as Snyk tells of it: `imported` counts the files that it watches now."""

    pending: bool
    complete: bool
    imported: int


class Snyk:
    """Snyk's API as far as it is needed. Projects are imported into `org`, and read from all.

    `gitlabs` are the addresses of all GitLabs that are read, where there are several.
    """

    def __init__(
        self,
        org: str,
        token: str | Secret,
        *,
        others: Sequence[str] = (),
        gitlabs: Sequence[str] = (),
        base: str = BASE,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.gitlabs = tuple(gitlabs)
        self.org = quote(org, safe="")
        self.orgs = tuple(dict.fromkeys(quote(each, safe="") for each in (org, *others)))
        self.api = JsonApi("Snyk", base, token, authorization="token {}", trust=trust)

    async def greet(self) -> None:
        """See that the organizations are there and the token opens them. Raises `Unanswered`."""
        for org in self.orgs:
            await self.api.get(f"/rest/orgs/{org}/projects", {"version": VERSION, "limit": "10"})

    async def whole_listing(self, *, addresses: bool) -> SnykListing:
        """As `listing`. Raises `Unanswered` when an organization could not be listed."""
        listing = await self.listing(addresses=addresses)
        for error in listing.failures.values():
            raise error
        return listing

    async def listing(self, *, addresses: bool) -> SnykListing:
        """What each organization has, as far as it can be listed.

        With the `addresses` of their repositories where paths alone do not tell them apart, and
        with several GitLabs always.
        https://docs.snyk.io/snyk-api/reference/projects
        """
        found: dict[str, list[SnykProject]] = defaultdict(list)
        failures: dict[str, Unanswered] = {}
        query = {"version": VERSION, "limit": "100"}
        if addresses or self.gitlabs:
            query["expand"] = "target"
        for org in self.orgs:
            try:
                listed = await self._all(f"/rest/orgs/{org}/projects", query)
            except Unanswered as error:
                failures[org] = error
                continue
            for row in listed:
                name = _NAME.fullmatch(str(at(row, "attributes", "name") or ""))
                if at(row, "attributes", "origin") == "gitlab" and name and row.get("id"):
                    active = at(row, "attributes", "status") == "active"
                    target = at(row, "relationships", "target", "data", "attributes", "url")
                    address = str(target or "")
                    mine = SnykProject(org, str(row["id"]), _tags(row), active, address)
                    found[name["path"].strip().lower()].append(mine)
        return SnykListing(found, failures, gitlabs=self.gitlabs)

    async def slug(self, org: str) -> str:
        """What an organization is called in addresses; "" when Snyk does not say."""
        try:
            tree = await self.api.get(f"/rest/orgs/{org}", {"version": VERSION})
        except Unanswered:
            return ""
        return str(at(tree, "data", "attributes", "slug") or "")

    async def open_issues(self, project: SnykProject) -> list[SnykIssue]:
        """A project's open issues that nobody ignores. Raises `Unanswered`."""
        query = {
            "version": VERSION,
            "limit": "100",
            "scan_item.type": "project",
            "scan_item.id": project.id,
            "status": "open",
        }
        issues = []
        for row in await self._all(f"/rest/orgs/{project.org}/issues", query):
            if at(row, "attributes", "ignored") is True:
                continue
            severity = str(at(row, "attributes", "effective_severity_level"))
            try:
                since = datetime.fromisoformat(str(at(row, "attributes", "created_at")))
            except ValueError:
                raise Unanswered("Snyk gave an issue without a date") from None
            if since.tzinfo is None:
                raise Unanswered("Snyk gave an issue whose date has no time zone")
            key = str(at(row, "attributes", "key") or row.get("id") or "")[:100]
            title = " ".join(str(at(row, "attributes", "title") or "").split())[:_TITLE]
            issues.append(SnykIssue(key, title, severity, since))
        return issues

    async def import_project(self, integration: str, project_id: int, branch: str) -> str:
        """Ask for an import; gives the address of Snyk's job. Raises `Unanswered`."""
        path = f"/v1/org/{self.org}/integrations/{quote(integration, safe='')}/import"
        target = {"target": {"id": project_id, "branch": branch}}
        return str(self.api.base.join(URL(await self.api.post(path, target))))

    async def tag(self, project: SnykProject, key: str, value: str) -> None:
        """Put one tag on a project; its others stay. Raises `Unanswered`.

        Of version 1 on purpose: REST's PATCH takes the whole list, and would take away what
        somebody else adds meanwhile. https://docs.snyk.io/snyk-api/reference/projects-v1
        """
        await self.api.command(f"{_v1(project)}/tags", {"key": key, "value": value})

    async def untag(self, project: SnykProject, key: str, value: str) -> None:
        """Take one tag off a project. Raises `Unanswered`."""
        await self.api.command(f"{_v1(project)}/tags/remove", {"key": key, "value": value})

    async def deactivate(self, project: SnykProject) -> None:
        """Stop Snyk's tests of a project; its history stays. Raises `Unanswered`.

        Of version 1, for REST has no such request. Snyk takes it of who may change a project's
        status: "Deactivate" in https://docs.snyk.io/snyk-api/reference/projects-v1, or
        https://snyk.docs.apiary.io/#reference/projects/deactivate-an-individual-project
        """
        await self.api.command(f"{_v1(project)}/deactivate", {})

    async def import_job(self, address: str) -> ImportJob:
        """What became of an import, by the address of its job. Raises `Unanswered`."""
        path = self.api.link(address)
        if path is None:
            raise Unanswered("Snyk gave no address of the import's job", 404)
        tree = await self.api.get(path)
        files = [file for log in rows(tree, "logs") for file in rows(log, "projects")]
        imported = sum(file.get("success") is True for file in files)
        status = tree.get("status")
        if status not in ("pending", "complete", "failed", "aborted"):
            raise Unanswered("Snyk gave an import a status that is not known")
        return ImportJob(status == "pending", status == "complete", imported)

    async def _all(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        tree = await self.api.get(path, query)
        found = rows(tree, "data")
        for _ in range(PAGES):
            following = at(tree, "links", "next")
            if isinstance(following, dict):
                following = following.get("href")
            link = self.api.link(following)
            if link is None:
                return found
            tree = await self.api.get(link)
            found += rows(tree, "data")
        raise Unanswered(f"Snyk's list goes on after {PAGES} pages")


def _v1(project: SnykProject) -> str:
    return f"/v1/org/{project.org}/project/{quote(project.id, safe='')}"


def _tags(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | None:
    found = at(row, "attributes", "tags")
    if not isinstance(found, list):
        return None
    return tuple((str(at(tag, "key")), str(at(tag, "value"))) for tag in found)
