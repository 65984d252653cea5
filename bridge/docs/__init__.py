"""The guide: Markdown, a page a topic, as `fester help` and `/docs` show it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

# Every topic in the order in which a newcomer needs them, and what its page is about.
TOPICS: Final = MappingProxyType(
    {
        "deploy": "Kubernetes, systemd, Compose, alerts; upgrades, backups; what Fester promises",
        "operate": "the store, settings, webhooks, two replicas, who may ask, what is published",
        "manifest": "`qm.yaml` for service owners: every key, in an editor, in a pipeline",
        "mapping": "mapping files: what manifests become, and how several are merged",
        "incident": "who owns it, who is on call, what to read, who is hit; Slack",
        "catalog-api": "Backstage's catalog API without Backstage",
        "backstage": "telling Backstage what changed; facts in its tech-insights",
        "facts": "what Ox knows of a service, Snyk, PagerDuty, Opsgenie, Jira; facts of your own",
        "scores": "the rubric, scorecards and roll-ups",
        "remediation": "issues and merge requests for what fails",
        "extend": "a package of your own",
    }
)

_MARKER = re.compile(r"^<!-- .* -->\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class GuidePage:
    """One page: its topic, its title, and its Markdown without the marks that are for tests."""

    topic: str
    title: str
    text: str


@cache
def guide_page(topic: str) -> GuidePage:
    """The page on one of `TOPICS`; raises KeyError for another topic."""
    if topic not in TOPICS:
        raise KeyError(topic)
    text = Path(__file__).with_name(f"{topic}.md").read_text("utf-8")
    return GuidePage(topic, text.partition("\n")[0].lstrip("# "), _MARKER.sub("", text))
