"""Looking at a GitLab and a token before the first crawl. Not hot: python-gitlab, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import gitlab
import requests

_NEEDED_SCOPES = ("read_api", "api")
_TIMEOUT = 15.0  # seconds for each question


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is fine, and what to do if it is not."""

    what: str
    fine: bool
    said: str
    advice: str = ""


async def inspect(url: str, token: str | None, groups: Sequence[str] = ()) -> tuple[Finding, ...]:
    """Look at the server, the token, its scopes, and what it may see in `url`'s group or `groups`.

    Without any of these, in all of GitLab.
    """
    return await asyncio.to_thread(lambda: tuple(_inspect(url, token, groups)))


def _inspect(url: str, token: str | None, more: Sequence[str]) -> Iterator[Finding]:
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    named = filter(None, (unquote(parts.path).strip("/"), *more))
    client = gitlab.Gitlab(
        base, private_token=token, timeout=_TIMEOUT, retry_transient_errors=False
    )
    try:
        yield from _server(client, base, token)
        yield from _token(client, token)
        for group in tuple(dict.fromkeys(named)) or ("",):
            yield _visible(client, group)
    except gitlab.exceptions.GitlabAuthenticationError:
        yield Finding(
            "token",
            False,
            "GitLab refuses it (401)",
            "make a new access token with the scope read_api and set GITLAB_TOKEN to it",
        )
    except (requests.exceptions.RequestException, gitlab.exceptions.GitlabError) as error:
        yield Finding(
            "GitLab",
            False,
            f"{base} does not answer as GitLab does ({type(error).__name__})",
            "check the URL, the network and the certificate",
        )


def _server(client: gitlab.Gitlab, base: str, token: str | None) -> Iterator[Finding]:
    if token is None:
        yield Finding(
            "token",
            False,
            "GITLAB_TOKEN is not set: only public projects can be seen",
            "set GITLAB_TOKEN to an access token with the scope read_api",
        )
        return
    client.auth()
    version, _ = client.version()
    user = client.user.username if client.user is not None else "?"
    yield Finding("GitLab", True, f"{base} answers, version {version}")
    yield Finding("token", True, f"belongs to {user}")


def _token(client: gitlab.Gitlab, token: str | None) -> Iterator[Finding]:
    if token is None:
        return
    try:
        own = client.personal_access_tokens.get("self")
    except gitlab.exceptions.GitlabGetError:
        # Job tokens and OAuth tokens cannot ask about themselves.
        yield Finding("scopes", True, "this kind of token does not tell its scopes")
        return
    scopes = list(own.scopes)
    fine = any(scope in scopes for scope in _NEEDED_SCOPES)
    yield Finding(
        "scopes",
        fine,
        ", ".join(scopes) or "none",
        "" if fine else "the token needs read_api: make a new one with it",
    )
    if own.expires_at:
        yield Finding("expiry", True, f"the token expires on {own.expires_at}")


def _visible(client: gitlab.Gitlab, group: str) -> Finding:
    if group:
        try:
            found = client.groups.get(group, with_projects=False)
        except gitlab.exceptions.GitlabGetError:
            return Finding(
                "group",
                False,
                f"the group {group} is not there, or the token may not see it",
                "check its path, and add the token's user to it as Reporter",
            )
        page = found.projects.list(per_page=1, get_all=False, include_subgroups=True)
        seen = bool(page)
    else:
        seen = bool(client.projects.list(per_page=1, get_all=False, order_by="id"))
    where = f"in {group}" if group else "in this GitLab"
    if seen:
        return Finding("projects", True, f"there are projects to be seen {where}")
    return Finding(
        "projects",
        False,
        f"no project can be seen {where}",
        "add the token's user to the groups as Reporter",
    )
