"""How a document stands: when its folder last changed, and whether it is there, as facts tell.

GitLab tells when something last changed in `docs/` of a project, not in one file: that stands for
every document in it. Of what lies elsewhere nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from bridge.answers.documents import URGENT, Document
from bridge.answers.knowledge import Knowledge, annotation, ref_of
from bridge.language.links import own_file
from bridge.model.entities import Json, Ref
from bridge.model.facts import Reading

STALE: Final = timedelta(days=365)
_READINGS: Final = "gitlab_rest"
_PROJECT: Final = "gitlab"
_FOLDER: Final = "docs/"


@dataclass(frozen=True, slots=True)
class DocumentState:
    """`changed` is None when it is not known; `broken` says that the file is missing or empty."""

    changed: datetime | None = None
    stale: bool = False
    broken: bool = False


def state_of(document: Document, known: Knowledge, now: datetime) -> DocumentState:
    """What is known of a document, by the facts of the service whose it is."""
    reading = _reading(document.service, _READINGS, known)
    service = known.entity(document.service) if reading is not None else None
    if service is None or reading is None:
        return DocumentState()
    path = _own_path(document.url, service, known)
    values = reading.values()
    changed = _moment(values.get("docs_changed_at")) if path.startswith(_FOLDER) else None
    return DocumentState(
        changed,
        changed is not None and now - changed > STALE,
        bool(path) and document.kind in URGENT and _is_missing(path, values),
    )


def _is_missing(path: str, values: Mapping[str, Json]) -> bool:
    """Whether it is one of those that are not there; before it was told of each, whether none is.

    Of a document that its service does not link to nothing is known.
    """
    missing = values.get("runbooks_missing")
    if isinstance(missing, list):
        return path in missing
    return values.get("runbook_present") is False


def _reading(ref: str, retriever: str, known: Knowledge) -> Reading | None:
    return known.facts.get(Ref.parse(ref), {}).get(retriever) if ref else None


def _own_path(url: str, service: Mapping[str, Any], known: Knowledge) -> str:
    """The file of a service's own project that an address shows; "" for others.

    Its project's address is that of its manifest, without the file.
    """
    web, dash, _ = annotation(service, "backstage.io/view-url").partition("/-/")
    project = annotation(service, "gitlab.com/project-slug")
    reading = _reading(ref_of(service), _PROJECT, known)
    branch = reading.values().get("default_branch") if reading is not None else None
    if not (dash and project and isinstance(branch, str) and web.endswith(f"/{project}")):
        return ""
    return own_file(url, web, branch) or ""


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
