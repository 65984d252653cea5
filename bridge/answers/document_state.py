"""How a document stands: when its folder last changed, and whether it is there, as facts tell.

GitLab tells when something last changed in `docs/` of a project, not in one file: that stands for
every document in it. Of what lies elsewhere nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import unquote, urlsplit

from bridge.answers.documents import Document
from bridge.answers.knowledge import Knowledge, annotation
from bridge.model.entities import Ref
from bridge.model.facts import Reading

STALE: Final = timedelta(days=365)
_READINGS: Final = "gitlab_rest"
_FOLDER: Final = "docs/"


@dataclass(frozen=True, slots=True)
class DocumentState:
    """`changed` is None when it is not known; `broken` says that the file is missing or empty."""

    changed: datetime | None = None
    stale: bool = False
    broken: bool = False


def state_of(document: Document, known: Knowledge, now: datetime) -> DocumentState:
    """What is known of a document, by the facts of the service whose it is."""
    service = known.entity(document.service)
    reading = _reading(document.service, known)
    if service is None or reading is None:
        return DocumentState()
    path = _own_path(document.url, annotation(service, "gitlab.com/project-slug"))
    values = reading.values()
    changed = _moment(values.get("docs_changed_at")) if path.startswith(_FOLDER) else None
    return DocumentState(
        changed,
        changed is not None and now - changed > STALE,
        bool(path) and document.kind == "runbook" and values.get("runbook_present") is False,
    )


def _reading(ref: str, known: Knowledge) -> Reading | None:
    return known.facts.get(Ref.parse(ref), {}).get(_READINGS) if ref else None


def _own_path(url: str, project: str) -> str:
    """The file of a project that an address of its own repository shows; "" for others."""
    where, dash, rest = unquote(urlsplit(url).path).partition("/-/blob/")
    if not (dash and project and where.strip("/").lower().endswith(project.lower())):
        return ""
    return rest.partition("/")[2]


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
