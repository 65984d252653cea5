"""What a person asks for, and whether something is that. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from bridge.language.names import nearest
from bridge.model.entities import DEFAULT_NAMESPACE, CatalogEntity, Json, Ref
from bridge.model.manifests import Verdict
from bridge.model.memory import KnownManifest, KnownProject
from bridge.model.numbers import own_id

_NEAR = 5
_ALIASES = "fester.dev/aliases"  # names that an entity also goes by, with commas between them
_SOURCE_NAME = "fester.dev/source-name"  # the name as a person wrote it
_SSH = re.compile(r"[\w.-]+@[^:/]+:(?P<path>[^:]+)")


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked for, as each of the things that it may be.

    `ref` is set when the text names a kind. `path` is that of a project, in lower case, and
    `url` that of its page, if it was asked for by one.
    """

    text: str
    ref: Ref | None
    name: str
    namespace: str
    path: str
    url: str = ""

    @classmethod
    def of(cls, asked: str) -> Question:
        """What may be asked for by a text."""
        text = asked.strip()
        place = text.partition("/-/")[0].rstrip("/").removesuffix(".git").lower()
        clone = _SSH.fullmatch(place)
        if clone is not None:
            return cls(text, None, "", "", clone["path"])
        if place.startswith(("http://", "https://", "ssh://")):
            return cls(text, None, "", "", place.partition("://")[2].partition("/")[2], place)
        path = place.lstrip("/")
        try:
            ref = Ref.parse(text)
        except ValueError:
            head, _, last = path.rpartition("/")
            return cls(text, None, last, head if "/" not in head else "", path)
        return cls(text, ref, ref.name, ref.namespace, path)

    def is_project(self, known: KnownProject) -> bool:
        """Whether it is this project's path, id or URL."""
        project = known.project
        if self.url and self.url == project.web_url.lower():
            return True
        return bool(self.path) and self.path in (project.path.lower(), str(own_id(project.id)))

    def names_project(self, known: KnownProject) -> bool:
        """Whether it is this project's path, id or URL, or its name alone."""
        alone = self.ref is not None or "/" not in self.path
        return self.is_project(known) or (alone and self.names(known.project.name))

    def how(self, entity: CatalogEntity) -> str:
        """How it names an entity: "name", "title", "alias"; "" when it does not."""
        metadata = entity.body["metadata"]
        annotations = metadata.get("annotations") or {}
        titles = (metadata.get("title"), annotations.get(_SOURCE_NAME))
        if self.text.lower() in (str(title).lower() for title in titles if title):
            return "title" if entity.ref.name != self.text.lower() else "name"
        if not self.name or not self._may_be_in(entity.ref):
            return ""
        if entity.ref.name in (self.name, slug_of(self.name)):
            return "name"
        aliases = str(annotations.get(_ALIASES) or "")
        found = aliases and any(self.names(each) for each in aliases.split(","))
        return "alias" if found else ""

    def _may_be_in(self, ref: Ref) -> bool:
        """Whether the kind and the namespace that were said, if any, are those of a reference."""
        if self.ref is not None:
            return (self.ref.kind, self.ref.namespace) == (ref.kind, ref.namespace)
        return "/" not in self.path or self.namespace == ref.namespace

    def names(self, text: str, namespace: str = DEFAULT_NAMESPACE) -> bool:
        """Whether a name in a manifest is what was asked for, whatever the kind."""
        wanted = slug_of(self.name)
        inside = self.namespace == namespace or (self.ref is None and "/" not in self.path)
        return bool(wanted) and inside and slug_of(text) == wanted


def speaks_of(question: Question, manifest: KnownManifest) -> Iterator[bool]:
    """Of each thing that a manifest names, whether it is what was asked for."""
    for draft in manifest.current.drafts:
        ref = Ref.of(draft.body)
        yield question.names(ref.name, ref.namespace)
    if manifest.current.verdict is not Verdict.VALID:
        # What is valid is told by its drafts; the text of the others is looked into.
        for document in manifest.current.documents:
            yield any(question.names(name) for name in _named(document))


def _named(document: Json) -> Iterator[str]:
    """What a parsed manifest names at its first levels."""
    for section in (document, *(document.values() if isinstance(document, dict) else ())):
        if isinstance(section, dict):
            for key in ("name", "dd-service"):
                value = section.get(key)
                if isinstance(value, str):
                    yield value


def near(question: Question, refs: Iterable[str], projects: Iterable[str]) -> tuple[str, ...]:
    """Of references and projects' paths those that look like what was asked for."""
    names: dict[str, str] = {}
    for ref in refs:
        names.setdefault(ref.rpartition("/")[2], ref)
    for path in projects:
        names.setdefault(slug_of(path.rpartition("/")[2]), path)
    return tuple(names[name] for name in nearest(slug_of(question.name), names, _NEAR))


@lru_cache(256)  # what was asked for is compared with everything
def slug_of(text: str) -> str:
    """A name as all its spellings are."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
