"""What an expression of a mapping may name, and which part of the manifest a name stands for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from bridge.language.expressions import Expression
from bridge.language.names import LISTED, Keys, Shape, did_you_mean, dotted
from bridge.language.schema.validator import Schema
from bridge.model.entities import Json
from bridge.model.numbers import own_id
from bridge.model.scrape import ManifestFile, Project

PROJECT_KEYS: Final = (
    "id",
    "path",
    "name",
    "web_url",
    "default_branch",
    "description",
    "visibility",
    "topics",
)
FILE_KEYS: Final = ("path", "name", "folder", "url", "edit_url", "raw_url")
READ_KEYS: Final = (
    "path",
    "exists",
    "folder",
    "oid",
    "size",
    "text",
    "refused",
    "nearest",
    "found",
)
SETTINGS_KEYS: Final = ("find_definitions",)
ROOTS: Final = ("manifest", "project", "file", "files", "settings")


_KNOWN: Final = {
    "project": PROJECT_KEYS,
    "file": FILE_KEYS,
    "files": READ_KEYS,
    "settings": SETTINGS_KEYS,
}


class Meaning(NamedTuple):
    """What a name stands for; `plain`: one thing in the manifest, just as it stands there."""

    shape: Shape
    plain: bool


@dataclass(slots=True)
class MappingNames:
    """The names that stand for something at one place of a mapping file.

    `schema` is what manifests look like; None leaves paths in the manifest unchecked. `plain` are
    the names with a plain `Meaning`.
    `project_used` collects the project's fields that any expression has named.
    """

    schema: Schema | None
    names: dict[str, Shape] = field(default_factory=dict)
    project_used: set[str] = field(default_factory=set)
    plain: frozenset[str] = frozenset({"manifest"})

    def __post_init__(self) -> None:
        for root in ROOTS:
            self.names.setdefault(root, ((root, ()),))
        # All documents of the file; what each looks like is for its own mapping to say.
        self.names.setdefault("documents", None)

    def step(self, shape: Shape, key: str) -> Shape:
        """The shape of one part of a value: a map's key, "*" for a list's item, or LISTED."""
        if shape is None:
            return None
        return tuple(
            (root, below) for root, keys in shape for below in self._below(root, keys, key)
        )

    def _below(self, root: str, keys: Keys, key: str) -> tuple[Keys, ...]:
        if keys[-1:] != (LISTED,):
            return ((*keys, key),)
        one = keys[:-1]
        if key != "*":
            return ((*one, key),)
        kind = self.schema.look(one).kind if self.schema and root == "manifest" else ""
        items = ((*one, "*"),) if not kind or "list" in kind else ()
        return items if kind == "a list" else (*items, one)

    def meaning(self, expression: Expression) -> Meaning:
        """What a name for an expression stands for; plain for a path, whatever it starts at."""
        plain = expression.pure and expression.references[0][0] in self.plain
        return Meaning(expression.shape, plain)

    def item(self, expression: Expression) -> Meaning:
        """The same for one item of what `forEach` goes through; anything where that is no list."""
        shape, plain = self.meaning(expression)
        items = self.step(shape, "*")
        if items is None or self.schema is None or any(self._fault(*item) for item in items):
            return Meaning(None, False)
        return Meaning(items, plain)

    def with_name(self, name: str, meaning: Meaning) -> MappingNames:
        """The same names and one more, which hides an outer one of the same spelling."""
        plain = self.plain | {name} if meaning.plain else self.plain - {name}
        return replace(self, names={**self.names, name: meaning.shape}, plain=plain)

    def no_list(self, expression: Expression) -> str | None:
        """What is wrong with going through a path of the manifest that is no list, or None."""
        shape, plain = self.meaning(expression)
        if self.schema is None or not plain or not shape:
            return None
        ((_, keys),) = shape
        kind = self.schema.look(keys).kind
        if not kind or "list" in kind:
            return None
        path = dotted("manifest", keys)
        return f"forEach needs a list, and the schema says that `{path}` is {kind}"

    def fault(self, shape: Shape) -> str | None:
        """What is wrong with a path, or None: it must be right for one of its candidates."""
        if not shape:
            return None
        for root, keys in shape:
            if root == "project" and keys:
                self.project_used.add(keys[0])
                if keys[0] == "id":
                    self.project_used.add("web_url")
            if root == "file":
                self.project_used.update(("web_url", "default_branch"))
        faults = [self._fault(root, keys) for root, keys in shape]
        return None if any(fault is None for fault in faults) else faults[0]

    def incomparable(self, shape: Shape, constant: object) -> str | None:
        """Nothing: a schema may allow several kinds of value, and manifests are unlike it."""

    def _fault(self, root: str, keys: Keys) -> str | None:
        if keys[-1:] == (LISTED,):
            keys = keys[:-1]
        if root == "manifest":
            return self._manifest_fault(keys)
        if root == "files":
            keys = keys[1:]  # whatever path it is
        known = _KNOWN[root]
        if not keys or keys == ("topics", "*") or keys[0] in known:
            return None
        hint = did_you_mean(keys[0], known) or f"; there are {', '.join(known)}"
        return f"`{dotted(root, keys)}` does not exist{hint}"

    def _manifest_fault(self, keys: Keys) -> str | None:
        if self.schema is None:
            return None
        for length in range(1, len(keys) + 1):
            found = self.schema.look(keys[:length])
            if found.open:
                return None
            if not found.known:
                name = dotted("manifest", keys[:length])
                near = found.nearest
                hint = f"; did you mean `{near}`?" if near else ""
                return f"`{name}` is not in the manifest's schema{hint}"
        return None


def project_names(project: Project) -> dict[str, Json]:
    """What `project` stands for in expressions; what is not known is null."""
    return {
        # A checkout on a disk has no id of GitLab's, but a number of 53 bits in its place.
        "id": own_id(project.id) if project.web_url and own_id(project.id) < 2**31 else None,
        "path": project.path,
        "name": project.name,
        "web_url": project.web_url or None,
        "default_branch": project.default_branch or None,
        "description": project.description or None,
        "visibility": project.visibility or None,
        "topics": list(project.topics),
    }


def file_names(project: Project, file: ManifestFile) -> dict[str, Json]:
    """What `file` stands for; the URLs are null for a checkout without a remote."""
    names: dict[str, Json] = {"path": file.path, "name": file.path.rpartition("/")[2]}
    names["folder"] = file.folder or None
    for key, verb in (("url", "blob"), ("edit_url", "edit"), ("raw_url", "raw")):
        names[key] = project.file_url(file.path, verb) or None
    return names
