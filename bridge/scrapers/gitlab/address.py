"""Where a GitLab is, and which of its groups is meant: `https://host/gitlab/shop` may be either.

An installation may lie under a path (`https://docs.gitlab.com/install/relative_url/`), and nothing
in the URL of a group tells. A setting says it, or it is found by asking.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from yarl import URL

from bridge.errors import ConfigurationError
from bridge.model.problems import Problem
from bridge.neighbours.http_client import Answer, HttpClient, NoAnswer, NotJson

_DEPTH: Final = 4  # segments that a GitLab's own path may have
_SECONDS: Final = 10.0
_BYTES: Final = 100_000


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """A GitLab's `base`, path included and without a slash at its end, and a group's path or ""."""

    base: str
    group: str

    @property
    def name(self) -> str:
        """The URL as a whole, which is the same wherever the base ends."""
        return f"{self.base}/{self.group}" if self.group else self.base


def read_address(text: str, base: str = "") -> SourceAddress:
    """Understand a URL; `base` is GitLab's own, "" where it has no path.

    Raises `ConfigurationError`, which does not repeat a URL that may hold a token.
    """
    origin, path = _parts(text)
    if not base:
        return SourceAddress(origin, path)
    own_origin, own_path = _parts(base)
    whole = "/".join(filter(None, (own_origin, own_path)))
    under = f"{origin}/{path}/"
    if not under.startswith(f"{whole}/"):
        raise _not_a_url(f"it does not lie under the address in `gitlab.url`, {whole}")
    return SourceAddress(whole, under.removeprefix(f"{whole}/").strip("/"))


async def find_base(text: str, *, trust: ssl.SSLContext | None = None) -> str:
    """GitLab's own address: the shortest at which one answers; "" when none does (now).

    Asks without a token, which GitLab refuses in words of its own.
    """
    origin, path = _parts(text)
    segments = path.split("/") if path else []
    http = HttpClient(origin, timeout=_SECONDS, limit=_BYTES, trust=trust)
    try:
        for length in range(min(len(segments), _DEPTH) + 1):
            base = "/".join((origin, *segments[:length]))
            answer = await http.send("GET", URL(f"{base}/api/v4/version"))
            if _is_gitlabs(answer):
                return base
            if answer.status == 429 or answer.status >= 500:
                return ""  # a GitLab that is down must not be taken for one somewhere else
    except NoAnswer:
        return ""
    finally:
        await http.close()
    return ""


def _is_gitlabs(answer: Answer) -> bool:
    """Whether GitLab answered, and not what else lies at the host."""
    if answer.status not in (200, 401, 403):
        return False
    try:
        tree: Any = answer.json()
    except NotJson:
        return False
    if not isinstance(tree, dict):
        return False
    said = str(tree.get("message") or tree.get("error") or "")
    return "version" in tree or said[:3] in ("401", "403") or "X-Gitlab-Meta" in answer.headers


def _parts(url: str) -> tuple[str, str]:
    """A URL's origin and its path, without slashes around it."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise _not_a_url("its host or port cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _not_a_url("it must begin with https:// (or http://) and name a host")
    if parts.username or parts.password:
        raise _not_a_url("it holds a user name or token; set the variable GITLAB_TOKEN instead")
    if parts.query or parts.fragment:
        raise _not_a_url("it must end after the host or the group's path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    base = f"{parts.scheme}://{host}{f':{port}' if port else ''}"
    return base, unquote(parts.path).strip("/")


def _not_a_url(why: str) -> ConfigurationError:
    return ConfigurationError(
        [
            Problem(
                f"the source's URL is not one of a GitLab or a group: {why}. "
                "Expected https://gitlab.example.com or https://gitlab.example.com/group/subgroup",
                "source-invalid",
            )
        ]
    )
