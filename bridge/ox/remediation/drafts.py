"""Issues' and merge requests' texts, from templates that people can edit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bridge.errors import ConfigurationError
from bridge.model.entities import Ref
from bridge.model.problems import Problem
from bridge.model.remediation import IssueDraft, IssueKey, IssuePlace, KeyKind
from bridge.model.scores import Check, CheckResult, CheckState, Evidence
from bridge.ox.remediation.harmless import obeyed_by_nobody, plain, quoted, titled
from bridge.ox.remediation.marker import digest_of, marked

GATE = "gate.md"
LIST = "checklist.md"
FILES = (GATE, LIST)
TEMPLATE_LIMIT = 64_000
TITLE_MOST = 250  # GitLab takes 255
SHOWN_EVIDENCE = 5

Member = tuple[Check, CheckResult | None]


@dataclass(frozen=True, slots=True)
class Contact:
    """Who is told of an owner's issues, as the settings say: trusted text."""

    assignee: str = ""
    mention: str = ""


@dataclass(frozen=True, slots=True)
class Drafts:
    """The loaded templates. The first line of each is the title, the rest the text."""

    templates: Mapping[str, Template]
    sources: Mapping[str, str]
    contacts: Mapping[str, Contact] = field(default_factory=dict)
    waive_label: str = "ox::waived"
    snooze_days: int = 30

    def render(self, key: IssueKey, place: IssuePlace, members: Sequence[Member]) -> IssueDraft:
        """An issue's title and description. What a stranger wrote stands in code spans only.

        The digest speaks of what is asked for, not of the values seen: an issue is not edited
        each time that a number moves.
        """
        name = LIST if key.kind is KeyKind.CHECKLIST else GATE
        checks = [_check_tree(check, result) for check, result in members]
        contact = self.contacts.get(place.owner, Contact())
        rendered = self.templates[name].render(
            service=quoted(place.title or key.entity.name),
            service_title=titled(place.title or key.entity.name, 80),
            entity=quoted(key.entity),
            project=quoted(place.project),
            owner=quoted(place.owner or "nobody"),
            mention=contact.mention,
            checks=checks,
            check=checks[0],
            waive_label=self.waive_label,
            snooze_days=self.snooze_days,
        )
        title, _, text = rendered.strip().partition("\n")
        digest = digest_of(
            self.sources[name],
            place.title,
            place.owner,
            contact.mention,
            self.waive_label,
            *(_lasting(check) for check, _ in members),
        )
        line = " ".join(title.lstrip("# ").split())[:TITLE_MOST] or "Ox"
        return IssueDraft(line, marked(key, digest, obeyed_by_nobody(text), line), digest)


def load_drafts(
    folders: Sequence[Path],
    *,
    contacts: Mapping[str, Contact] | None = None,
    waive_label: str = "ox::waived",
    snooze_days: int = 30,
) -> Drafts:
    """Templates by name from the first folder that has them.

    Each is tried on an example. Raises `ConfigurationError` with every problem.
    """
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    problems: list[Problem] = []
    templates: dict[str, Template] = {}
    sources: dict[str, str] = {}
    for name in FILES:
        path = next((f / name for f in folders if (f / name).is_file()), folders[-1] / name)
        try:
            sources[name] = _read(path)
            templates[name] = environment.from_string(sources[name])
            made = Drafts(templates, sources, contacts or {}, waive_label, snooze_days)
            made.render(*_example(name))
        except (TemplateError, TypeError, ValueError, ArithmeticError, OSError) as error:
            problems.append(_fault(error, path))
    if problems:
        raise ConfigurationError(problems)
    return Drafts(templates, sources, contacts or {}, waive_label, snooze_days)


def _fault(error: Exception, path: Path) -> Problem:
    """What is wrong with a template, by what came of trying it."""
    if isinstance(error, TemplateSyntaxError):
        said = f"not a template: {error.message}"
        return Problem(said, "template-syntax", file=str(path), line=error.lineno)
    if isinstance(error, OSError):
        said = f"cannot be read: {error.strerror}"
        return Problem(said, "template-unreadable", file=str(path))
    said = f"cannot be filled in: {error}; `fester help remediation` lists what may stand"
    return Problem(said, "template-fails", file=str(path))


def _read(path: Path) -> str:
    raw = path.read_bytes()
    if len(raw) > TEMPLATE_LIMIT:
        raise ValueError(f"larger than {TEMPLATE_LIMIT} bytes")
    return raw.decode("utf-8")


def _check_tree(check: Check, result: CheckResult | None) -> dict[str, Any]:
    """One check as templates see it. The rubric's texts are its owner's and stay as they are."""
    evidence = result.evidence[:SHOWN_EVIDENCE] if result is not None else ()
    return {
        "id": check.id,
        "title": plain(check.title, 200),
        "category": plain(check.category, 80),
        "description": plain(check.description, 1000),
        "how_to_fix": plain(check.how_to_fix, 1000),
        "links": [
            {"title": plain(link.get("title", link.get("url", "")), 100), "url": link["url"]}
            for link in check.links
            if link.get("url", "").startswith(("https://", "http://"))
        ],
        "reason": quoted(result.reason) if result is not None and result.reason else "",
        "evidence": [_evidence_tree(each) for each in evidence],
    }


def _evidence_tree(evidence: Evidence) -> dict[str, str]:
    at = evidence.seen_at
    return {
        "fact": quoted(evidence.fact),
        "value": quoted(json.dumps(evidence.value, ensure_ascii=False, default=str)),
        "source": quoted(evidence.source),
        "seen_at": at.strftime("%Y-%m-%d %H:%M UTC") if at is not None else "",
    }


def _lasting(check: Check) -> str:
    links = [f"{link.get('title')}{link.get('url')}" for link in check.links]
    return "\0".join([check.id, check.title, check.description, check.how_to_fix, *links])


def _example(name: str) -> tuple[IssueKey, IssuePlace, list[Member]]:
    check = Check("owner", "Has an owner", "Ownership", 6, frozenset({1}), "true", ("a.b",))
    ref = Ref("component", "default", "example")
    seen = Evidence("a.b", False, datetime(2026, 1, 1, tzinfo=UTC), "qm.yaml")
    result = CheckResult(ref, "owner", CheckState.FAIL, 6, True, "nobody", (seen,))
    key = IssueKey.checklist(1, ref) if name == LIST else IssueKey(1, ref, "owner")
    return key, IssuePlace(1, "a/b", "Example"), [(check, result)]
