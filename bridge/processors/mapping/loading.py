"""Loads mapping files. All mistakes of all files are reported at once, each with its place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from cachetools import LRUCache

import bridge
from bridge.errors import ConfigurationError
from bridge.language.own_schemas import faults
from bridge.language.paths import WILD_PARTS, usable
from bridge.language.schema.validator import Schema
from bridge.language.source import is_expression
from bridge.model.entities import Json
from bridge.model.problems import Problem
from bridge.processors.mapping import presets
from bridge.processors.mapping.compiling import EntityTemplate, MappingCompiler
from bridge.processors.mapping.lint import lookalikes
from bridge.processors.mapping.mapping_file import Example, Mapping
from bridge.processors.mapping.scope import MappingNames
from bridge.processors.mapping.splitting import Split
from bridge.processors.mapping.templates import Constant, Element, Leaf
from bridge.processors.mapping.unused import in_subfolders, rivals

# Rules for merging and the rubric live beside the mappings and are read by somebody else.
NOT_MAPPINGS: Final = frozenset(
    {
        *("facts.yaml", "merge.yaml", "rubric.yaml", "rubric.next.yaml", "initiatives.yaml"),
        "qm.defaults.yaml",
        presets.FILE,
    }
)


_loading: Final = Lock()  # a process that leads and reads for others reloads in two threads
# Mappings are reloaded often; most of their files stay the same.
_kept: LRUCache[Path, Mapping] = LRUCache(maxsize=256)


# The schemas that were checked, by content: mappings are reloaded often, and their schemas copied.
_checked: LRUCache[bytes, Schema] = LRUCache(maxsize=64)


def _schema(path: Path, content: bytes) -> Schema:
    schema = _checked.get(content)
    if schema is None:
        schema = _checked[content] = Schema.load(path)
    return schema


def shipped_folder() -> Path:
    """Where the mappings that come with Fester lie: inside the wheel, or in the repository."""
    package = Path(bridge.__file__).parent
    installed = package / "shipped_mappings"
    return installed if installed.is_dir() else package.parent / "mappings"


def load_files(folder: Path | None, *, everything: bool = False) -> tuple[Mapping, ...]:
    """The shipped mappings, with those of `folder` over them: a file of the same name wins.

    Presets are among them if the folder's presets.yaml names them, or with `everything`. Raises
    ConfigurationError with every problem of every file.
    """
    shipped = shipped_folder()
    folders = [shipped] if folder is None or folder == shipped else [shipped, folder]
    if not folders[-1].is_dir():
        message = "is not a folder; name the folder that holds your mapping files"
        raise ConfigurationError([Problem(message, "mapping-invalid", file=str(folders[-1]))])
    problems: list[Problem] = []
    paths = {path.name: path for path in _presets(folders[-1], everything, problems)}
    for each in folders:
        for path in [*each.glob("*.yaml"), *each.glob("*.yml")]:
            paths[path.name] = path
    mappings = []
    for name in sorted(paths.keys() - NOT_MAPPINGS):
        with _loading:
            loaded = _load(paths[name], [presets_folder(), *folders], problems)
        if loaded is not None:
            mappings.append(loaded)
    problems += _twice(mappings)
    if problems:
        raise ConfigurationError(problems)
    return tuple(mappings)


def presets_folder() -> Path:
    """Where the shipped mappings lie that are used only if somebody asks for them."""
    return shipped_folder() / "presets"


def _presets(folder: Path, everything: bool, problems: list[Problem]) -> list[Path]:
    known = presets.preset_files(presets_folder())
    if everything:
        return list(known.values())
    try:
        return presets.chosen_presets(folder / presets.FILE, known)
    except ConfigurationError as error:
        problems += error.problems
        return []


def notes(mappings: Sequence[Mapping], folder: Path | None) -> tuple[Problem, ...]:
    """What cannot be meant in mappings that can be loaded, and in their folder."""
    found = [note for mapping in mappings for note in mapping.notes]
    found += rivals(mappings)
    found += in_subfolders(folder) if folder is not None else ()
    return tuple(found)


def _twice(mappings: list[Mapping]) -> list[Problem]:
    first: dict[str, Mapping] = {}
    problems = []
    for mapping in mappings:
        other = first.setdefault(mapping.id, mapping)
        if other is not mapping:
            message = f"the mapping `{mapping.id}` is already in {other.path}; take another id"
            problems.append(
                Problem(message, "mapping-invalid", file=str(mapping.path), line=1, column=1)
            )
    return problems


def _load(path: Path, folders: list[Path], problems: list[Problem]) -> Mapping | None:
    kept = _kept.get(path)
    if kept is not None and _stands(kept, folders):
        return kept
    mapping = _read(path, folders, problems)
    if mapping is not None:
        _kept[path] = mapping
    return mapping


def _stands(mapping: Mapping, folders: Sequence[Path]) -> bool:
    """Whether a mapping's file, and its schema, are as they were when it was loaded."""
    schema = _beside(mapping.schema_path.name, folders)
    if schema != mapping.schema_path:
        return False
    try:
        source = mapping.path.read_text("utf-8")
        return _digest(source, schema.read_bytes()) == mapping.digest
    except (OSError, UnicodeDecodeError):
        return False


def _beside(name: str, folders: Sequence[Path]) -> Path | None:
    """The schema of that name: the last folder that has one says which."""
    found = (folder / name for folder in reversed(folders) if (folder / name).is_file())
    return next(found, None) if name and "/" not in name else None


def _digest(source: str, schema: bytes) -> str:
    return hashlib.blake2b(source.encode() + schema, digest_size=16).hexdigest()


def _read(path: Path, folders: list[Path], problems: list[Problem]) -> Mapping | None:
    expected = "a mapping file holds one map that starts with `mapping: <id>`"
    try:
        compiler, tree, source = MappingCompiler.opened(path, "mapping-invalid", expected)
    except ConfigurationError as error:
        problems += error.problems
        return None
    mapping = _File(tree, path, folders, compiler).mapping(source)
    # What breaks the schema may be told twice: once is enough to act on.
    problems += {(each.line, each.column): each for each in reversed(compiler.problems)}.values()
    return mapping


@dataclass(slots=True)
class _File:
    """One mapping file's tree on its way to a `Mapping`."""

    data: dict[str, Json]
    path: Path
    folders: list[Path]
    compiler: MappingCompiler
    schema_bytes: bytes = b""

    def mapping(self, source: str) -> Mapping | None:
        """The mapping; None when something without which there is none is missing."""
        self.compiler.problems += faults("mapping", self.compiler, self.data)
        schema_path, schema = self._schema()
        scope, anything = MappingNames(schema), MappingNames(None)
        when = self._leaf("when", scope)
        otherwise = self._otherwise(anything)
        foreign = self._foreign(anything)
        lets, scope = self._lets(scope)
        nested = self._leaf("nested", scope)
        reads = self._reads(scope)
        entities = self._entities(scope)
        warnings = self._warnings(scope)
        splits = self._splits(schema)
        defaults = self._defaults(schema, splits)
        self._lookalikes()
        if schema is None or self.compiler.problems:
            return None
        return Mapping(
            id=self._text("mapping"),
            title=self._text("title"),
            files=self._files(),
            path=self.path,
            schema_path=schema_path,
            schema=schema,
            digest=_digest(source, self.schema_bytes),
            uses=frozenset(scope.project_used | anything.project_used),
            entities=entities,
            many=self.data.get("documents") == "many",
            splits=splits,
            defaults=defaults,
            when=when,
            otherwise=otherwise,
            foreign=foreign,
            lets=lets,
            reads=reads,
            nested=nested,
            warnings=warnings,
            examples=self._examples(),
            condition=str(self.data.get("when", "")),
            notes=tuple(self.compiler.notes),
        )

    def _leaf(self, key: str, scope: MappingNames) -> Leaf | None:
        """The expression of a key; None where the file has no such key."""
        return self.compiler.leaf(self.data[key], (key,), scope) if key in self.data else None

    def _otherwise(self, scope: MappingNames) -> Leaf | Constant | None:
        if "otherwise" not in self.data:
            return None
        return self.compiler.said(self.data["otherwise"], ("otherwise",), scope)

    def _lookalikes(self) -> None:
        for key in ("otherwise", "foreign", "let", "entities", "warnings"):
            lookalikes(self.compiler, self.data.get(key), (key,))

    def _text(self, key: str) -> str:
        value = self.data.get(key)
        return value if isinstance(value, str) else ""

    def _list(self, key: str) -> list[Json]:
        value = self.data.get(key)
        return value if isinstance(value, list) else []

    def _files(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self._list("files"))

    def _schema(self) -> tuple[Path, Schema | None]:
        name = self._text("schema")
        path = _beside(name, self.folders)
        if path is None:
            if name:
                message = f"there is no file `{name}` beside the mapping"
                self.compiler.problem(message, ("schema",))
            return self.path, None
        try:
            self.schema_bytes = path.read_bytes()
            return path, _schema(path, self.schema_bytes)
        except ConfigurationError as error:
            self.compiler.problems += error.problems
        except OSError as error:
            self.compiler.problem(f"`{name}` cannot be read: {error}", ("schema",))
        return path, None

    def _splits(self, schema: Schema | None) -> tuple[Split, ...]:
        found = []
        for at, item in enumerate(self._list("split")):
            if isinstance(item, dict) and isinstance(item.get("key"), str):
                inherit = item.get("inherit")
                keys = tuple(map(str, inherit)) if isinstance(inherit, list) else ()
                split = Split(item["key"], str(item.get("list", "")), keys)
                self._known_to(schema, split, ("split", at))
                found.append(split)
        return tuple(found)

    def _defaults(
        self, schema: Schema | None, splits: Sequence[Split]
    ) -> tuple[tuple[str, ...], ...]:
        """The paths that `defaults` names: keys of the manifest, with dots between them."""
        named = [each for each in self._list("defaults") if isinstance(each, str)]
        if named and splits:
            message = "what `split` lets parts inherit is what defaults may give: delete this"
            self.compiler.problem(message, ("defaults",), key=True)
        paths = tuple(tuple(each.split(".")) for each in named)
        for at, path in enumerate(paths):
            self._in_schema(schema, path, ("defaults", at))
        return paths

    def _known_to(self, schema: Schema | None, split: Split, path: tuple[str | int, ...]) -> None:
        """Report keys of a `split` that the manifest's schema does not know."""
        named: list[tuple[tuple[str, ...], str]]
        named = [((split.key,), "key"), *(((split.key, key), "inherit") for key in split.inherit)]
        named += [((split.list,), "list")] if split.list else []
        for keys, where in named:
            self._in_schema(schema, keys, (*path, where))

    def _in_schema(
        self, schema: Schema | None, keys: tuple[str, ...], path: tuple[str | int, ...]
    ) -> None:
        found = schema.look(keys) if schema is not None else None
        if found is not None and not found.known:
            hint = f"; did you mean `{found.nearest}`?" if found.nearest else ""
            message = f"`{'.'.join(keys)}` is not in the manifest's schema{hint}"
            self.compiler.problem(message, path)

    def _foreign(self, scope: MappingNames) -> tuple[tuple[Leaf, str], ...]:
        return tuple(
            (self.compiler.leaf(item["when"], ("foreign", at, "when"), scope), item["reason"])
            for at, item in enumerate(self._list("foreign"))
            if isinstance(item, dict) and {"when", "reason"} <= item.keys()
        )

    def _lets(self, scope: MappingNames) -> tuple[tuple[tuple[str, Leaf], ...], MappingNames]:
        lets = self.data.get("let", {})
        found = []
        for name, value in lets.items() if isinstance(lets, dict) else ():
            leaf = self.compiler.leaf(value, ("let", name), scope)
            scope = self.compiler.named(name, scope.meaning(leaf.expression), ("let", name), scope)
            found.append((name, leaf))
        return tuple(found), scope

    def _entities(self, scope: MappingNames) -> tuple[EntityTemplate, ...]:
        found = (
            self.compiler.entity(value, ("entities", at), scope)
            for at, value in enumerate(self._list("entities"))
        )
        return tuple(entity for entity in found if entity is not None)

    def _reads(self, scope: MappingNames) -> tuple[Element, ...]:
        for at, value in enumerate(self._list("reads")):
            glob = value.get("glob") if isinstance(value, dict) else None
            if isinstance(glob, str) and not is_expression(glob) and not usable(glob):
                message = (
                    f"`{glob}` cannot be looked for: a pattern has one to {WILD_PARTS} parts with "
                    "`*` or `?`, each for one level of folders, and no `**`"
                )
                self.compiler.problem(message, ("reads", at, "glob"))
        return tuple(
            self.compiler.element(value, ("reads", at), scope)
            for at, value in enumerate(self._list("reads"))
            if isinstance(value, dict)
        )

    def _warnings(self, scope: MappingNames) -> tuple[Element, ...]:
        return tuple(
            self.compiler.element(value, ("warnings", at), scope)
            for at, value in enumerate(self._list("warnings"))
            if isinstance(value, dict)
        )

    def _examples(self) -> tuple[Example, ...]:
        """The examples; those that have not their shape make the file unusable anyhow."""
        return tuple(
            Example(
                title=str(value.get("title", f"example {at + 1}")),
                place=self.compiler.place(("examples", at)),
                manifests=tuple(value.get("manifests") or [value.get("manifest")]),
                entities=tuple(value.get("entities") or ()),
                problems=tuple(str(part) for part in value.get("problems") or ()),
                project=value.get("project"),
                file=str(value.get("file", "")),
                reads=value.get("reads"),
            )
            for at, value in enumerate(self._list("examples"))
            if isinstance(value, dict)
        )
