"""Sources: a GitLab, or a folder of checkouts."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from bridge.errors import ConfigurationError
from bridge.model.problems import Problem
from bridge.ports import Scraper
from bridge.scrapers.directory import DirectoryScraper
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.scrapers.gitlab.scraper import GitLabScraper
from bridge.secret.live import Secret

__all__ = ["DirectoryScraper", "GitLabOptions", "GitLabScraper", "source"]


def source(
    text: str,
    token: str | Secret | None = None,
    *,
    base: str = "",
    trust: ssl.SSLContext | None = None,
    options: GitLabOptions | None = None,
    variable: str = "GITLAB_TOKEN",
    on_progress: Callable[[int, int], None] = lambda seen, read: None,
) -> Scraper:
    """The scraper of a source as users write it: an http(s) URL, or a folder that exists.

    `base` is GitLab's own address where it lies under a path, and `trust` verifies its certificate.
    `variable` is where the token would come from.
    Raises `ConfigurationError` for anything else.
    """
    if text.lower().startswith(("http://", "https://")):
        return GitLabScraper(
            text,
            token,
            base=base,
            trust=trust,
            options=options,
            variable=variable,
            on_progress=on_progress,
        )
    if text and Path(text).is_dir():
        return DirectoryScraper(text, on_progress=on_progress)
    raise ConfigurationError([_no_source(text)])


def _no_source(text: str) -> Problem:
    # What looks like a URL may hold a token; it is not repeated.
    shown = "the source" if "@" in text else f"the source {text!r}"
    return Problem(
        f"{shown} is neither a URL nor a folder that is there; expected "
        "https://gitlab.example.com, https://gitlab.example.com/group/subgroup, or a "
        "folder of checkouts",
        "source-invalid",
    )
