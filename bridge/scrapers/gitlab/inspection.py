"""Looking at a GitLab and a token before the first crawl, by the crawl's own client.

So it is asked as the crawl asks it, trusts what the crawl trusts, and says what `run` would say.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from bridge.errors import SourceRefused
from bridge.model.scrape import Gap, ProjectRead, Record
from bridge.model.token_expiry import end_of, warning
from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.dialect import LEAST, not_told
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.scrapers.gitlab.people import People
from bridge.scrapers.gitlab.trouble import Cause, Trouble

_READING: Final = ("read_api", "api")
# The scope of fine-grained tokens, whose rights are set one by one and cannot be asked for.
_GRANULAR: Final = "granular"
_MOST_TOLD: Final = 3  # groups that one line names
# https://docs.gitlab.com/api/access_requests/#valid-access-levels
_ROLES: Final = {
    10: "guest", 15: "planner", 20: "reporter", 30: "developer", 40: "maintainer", 50: "owner"
}  # fmt: skip
INSPECTION: Final = GitLabOptions(timeout=15.0, max_retries=1, longest_wait=30.0)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is fine, and what to do, now or soon."""

    what: str
    fine: bool
    said: str
    advice: str = ""


async def inspect(
    client: GitLabClient, groups: Sequence[str], now: datetime, *, people: bool = False
) -> AsyncIterator[Finding]:
    """Look at the server, the token, its scopes and end, and what it may see in `groups`.

    Without any group, in all of GitLab. With `people`, at the members of groups, too.
    """
    try:
        async for finding in _server(client):
            yield finding
        if not client.anonymous:
            async for finding in _token(client, now):
                yield finding
        for group in tuple(dict.fromkeys(groups)) or ("",):
            yield await _visible(client, group)
        if people:
            yield await _members(client, groups)
    except SourceRefused as refused:
        yield Finding(
            "token",
            False,
            str(refused),
            f"make an access token with the scope read_api and set {client.variable} to it",
        )
    except Trouble as trouble:
        yield Finding(
            "GitLab",
            False,
            f"{client.base}: {trouble.reason}",
            "check the URL, the network and the certificate",
        )


async def _server(client: GitLabClient) -> AsyncIterator[Finding]:
    if client.anonymous:
        yield Finding(
            "token",
            False,
            f"{client.variable} is not set: only public projects can be seen",
            f"set {client.variable} to an access token with the scope read_api",
        )
        return
    user = _tree((await client.get("/user", {})).body)
    version = _tree((await client.get("/version", {})).body).get("version", "unknown")
    yield _version(client.base, str(version))
    yield Finding("token", True, f"belongs to {user.get('username', 'nobody by name')}")


def _version(base: str, version: str) -> Finding:
    said = f"{base} answers, version {version}"
    enough, missing = not_told(version)
    if missing:
        said = f"{said}; one so old does not tell {'; nor '.join(missing)}"
    least = ".".join(map(str, LEAST))
    return Finding("GitLab", enough, said, "" if enough else f"use GitLab {least} or newer")


async def _token(client: GitLabClient, now: datetime) -> AsyncIterator[Finding]:
    own = await own_token(client)
    if own is None:
        yield Finding("scopes", True, "this kind of token does not tell its scopes")
        return
    found = own.get("scopes")
    scopes = [str(scope) for scope in found] if isinstance(found, list) else []
    if _GRANULAR in scopes and not any(scope in scopes for scope in _READING):
        yield Finding(
            "scopes", True, "a fine-grained token, whose rights on each group GitLab does not tell"
        )
    else:
        fine = any(scope in scopes for scope in _READING)
        advice = "" if fine else "the token needs read_api: make a new one with it"
        yield Finding("scopes", fine, ", ".join(scopes) or "none", advice)
    end = end_of(own.get("expires_at"))
    if end is None:
        yield Finding("expiry", True, "the token does not expire")
    elif said := warning(end, now):
        message, _, advice = said.partition(": ")
        yield Finding("expiry", end > now, message, advice)
    else:
        yield Finding("expiry", True, f"the token expires on {end:%Y-%m-%d}")


async def own_token(client: GitLabClient) -> dict[str, Any] | None:
    """What GitLab says of the token itself; None for a kind that cannot ask (OAuth).

    Raises `Trouble` when GitLab gives no answer.
    """
    try:
        return _tree((await client.get("/personal_access_tokens/self", {})).body)
    except SourceRefused:
        return None
    except Trouble as trouble:
        if trouble.cause in (Cause.NOT_THERE, Cause.NOT_UNDERSTOOD):
            return None
        raise


async def _visible(client: GitLabClient, group: str) -> Finding:
    one = {"per_page": "1"}
    if group:
        path = f"/groups/{quote(group, safe='')}"
        try:
            await client.get(path, {"with_projects": "false"})
        except Trouble as trouble:
            if trouble.cause is not Cause.NOT_THERE:
                raise
            return Finding(
                "group",
                False,
                f"the group {group} is not there, or the token may not see it",
                "check its path, and add the token's user to it as Reporter",
            )
        answer = await client.get(f"{path}/projects", {**one, "include_subgroups": "true"})
    else:
        answer = await client.get("/projects", {**one, "order_by": "id"})
    where = f"in {group}" if group else "in this GitLab"
    if answer.body:
        return Finding("projects", True, f"there are projects to be seen {where}")
    return Finding(
        "projects",
        False,
        f"no project can be seen {where}",
        "add the token's user to the groups as Reporter",
    )


async def _members(client: GitLabClient, groups: Sequence[str]) -> Finding:
    """Whether the members of groups are shown, and as what the token's user is among them."""
    records: list[Record] = []

    async def take(record: Record) -> None:
        records.append(record)

    user = _tree((await client.get("/user", {})).body).get("username")
    await People(client, replace(INSPECTION, groups=tuple(dict.fromkeys(groups))), take).some()
    gaps = [f"{each.path}: {each.reason}".lstrip(": ") for each in records if isinstance(each, Gap)]
    shown = {
        each.project.path: _role_of(user, each) for each in records if isinstance(each, ProjectRead)
    }
    if gaps:
        return Finding(
            "people",
            False,
            f"{'; '.join(gaps[:_MOST_TOLD])}{'; …' if len(gaps) > _MOST_TOLD else ''}",
            "add the token's user to these groups, as a guest at least, so that GitLab shows their "
            "members; until then such a group keeps what was known of it",
        )
    if not shown:
        return Finding(
            "people", False, "no group can be seen", "add the token's user to the groups"
        )
    roles = [f"{role} of {path}" for path, role in shown.items() if role]
    where = "its members" if len(shown) == 1 else f"the members of {len(shown)} groups"
    said = f"GitLab shows {where}"
    told = ", ".join(roles[:_MOST_TOLD])
    return Finding("people", True, f"{said}; the token's user is {told}" if told else said)


def _role_of(user: Any, record: ProjectRead) -> str:
    """A user's role among the members of a group; "" for nobody, or one that has no name."""
    members = json.loads(record.files[0].text or "{}").get("members", ())
    role = next((each["role"] for each in members if each["username"] == user), 0)
    return _ROLES.get(role, "")


def _tree(body: Any) -> dict[str, Any]:
    return body if isinstance(body, dict) else {}
