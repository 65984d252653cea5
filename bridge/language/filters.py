"""The closed list of filters that an expression may use: `${{ manifest.service.name | slug }}`.

| filter | example | gives |
|---|---|---|
| `slug` | `'Opslevel CLI' \\| slug` | `opslevel-cli`, an entity's name |
| `ref(kind)` | `'Team A' \\| ref('group')` | `group:default/team-a`; of a list each |
| `tag` | `'Order Management' \\| tag` | `order-management` |
| `label` | `'C# / .NET' \\| label` | `Csharp-.NET`, a label's value |
| `tier` | `'three' \\| tier` | `tier_3`; null for an unknown word |
| `default(x)` | `manifest.service.type \\| default('service')` | `service` when null or empty |
| `lower` `upper` `trim` | `'Ab ' \\| trim \\| lower` | `ab` |
| `text` | `2 \\| text` | `'2'` |
| `url` | `'https://x.org/a' \\| url` | itself; null unless an absolute http(s) URL |
| `urlpath` | `'docs/run book.md' \\| urlpath` | `docs/run%20book.md`; null for `../x` |
| `host` | `'https://h.org:8443/a' \\| host` | `h.org:8443`; null for what is no URL |
| `removeprefix(x)` | `'service:auth' \\| removeprefix('service:')` | `auth` |
| `removesuffix(x)` | `'auth.git' \\| removesuffix('.git')` | `auth` |
| `dirname` | `'docs/guide/a.md' \\| dirname` | `docs/guide`; null at the top |
| `basename` | `'docs/a.md' \\| basename` | `a.md` |
| `stem` | `'docs/a.md' \\| stem` | `a`, a file's name without its ending |
| `first` | `['a', 'b'] \\| first` | `a` |
| `rest` | `['a', 'b'] \\| rest` | `['b']`, all but the first |
| `list` | `'a' \\| list` | `['a']`; a list stays, null gives `[]` |
| `unique` | `['a', 'b', 'a'] \\| unique` | `['a', 'b']` |
| `join(x)` | `['a', 'b'] \\| join(', ')` | `a, b` |
| `map_key(k, …)` | `tools \\| map_key('id', 'name')` | of each tool the id, or else the name |
| `having(k, x)` | `tools \\| having('name', 'Grafana')` | the tools whose name is that |
| `items` | `resources \\| items` | a map as a list: `[{'key': 'db', 'value': 2}]` |
| `within(folder)` | `'a.md' \\| within('docs')` | `docs/a.md`; null when it leads out |
| `definition(type)` | `files['api.yaml'] \\| definition('openapi')` | its published path, or null |
| `definition_fault(type)` | the same | why it is not published as one, or null |
| `lookup(table, x)` | `'logs' \\| lookup({'logs': 'search'}, 'web')` | `search`; else `web` |

Null goes through every filter as null, except `default`, `list` and `lookup`. The text filters
also take numbers and true/false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from bridge.language import naming, paths
from bridge.language.definitions import definition, definition_fault
from bridge.model.entities import Json

TEXT_LIMIT: Final = 4_096
LIST_LIMIT: Final = 1_000


class EvaluationError(Exception):
    """An expression cannot be worked out on this manifest; the message says why.

    `place` is the `file:line:col` in the mapping, and `sources` are the manifest's paths that
    the expression reads, once they are known.
    """

    place: str = ""
    sources: tuple[tuple[str | int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter: what it does and how many arguments it takes after the value."""

    run: Callable[..., Json]
    fewest: int = 0
    most: int = 0
    takes_null: bool = False
    # What the value's parts are afterwards: "same" the value itself, "either" the value or the
    # argument, "item" one of its items, "list" the value as a list's only item, "new" something
    # new.
    gives: str = "new"


def kind_of(value: Json) -> str:
    """What a value is, in words for people."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true/false"
    for type_, name in ((str, "a text"), (list, "a list"), (dict, "a map")):
        if isinstance(value, type_):
            return name
    return "a number"


def as_text(value: Json) -> str:
    """A scalar as text, written as JSON writes it; raises EvaluationError for a list or a map."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise EvaluationError(f"expected a text and found {kind_of(value)}")


def bounded(text: str) -> str:
    """The text, unless it is too long; raises EvaluationError."""
    if len(text) > TEXT_LIMIT:
        raise EvaluationError(f"gives {len(text):,} characters; the limit is {TEXT_LIMIT:,}")
    return text


def _items(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise EvaluationError(f"expected a list and found {kind_of(value)}")
    if len(value) > LIST_LIMIT:
        raise EvaluationError(f"a list of {len(value):,} items; the limit is {LIST_LIMIT:,}")
    return value


def _texts(run: Callable[[str], str | None]) -> Callable[[Json], str | None]:
    def filtered(value: Json) -> str | None:
        return run(value if type(value) is str else as_text(value))

    return filtered


def _ref(value: Json, kind: Json) -> Json:
    if isinstance(value, list):
        found = (naming.ref(as_text(item), as_text(kind)) for item in _items(value))
        return [each for each in found if each is not None]
    return naming.ref(as_text(value), as_text(kind))


def _removeprefix(value: Json, prefix: Json) -> str:
    return as_text(value).removeprefix(as_text(prefix))


def _removesuffix(value: Json, suffix: Json) -> str:
    return as_text(value).removesuffix(as_text(suffix))


def _dirname(path: str) -> str | None:
    return path.strip("/").rpartition("/")[0] or None


def _basename(path: str) -> str | None:
    return path.rstrip("/").rpartition("/")[2] or None


def _stem(path: str) -> str | None:
    return PurePosixPath(path).stem or None


def _default(value: Json, other: Json) -> Json:
    return other if value is None or value in ("", []) or value == {} else value


def _list(value: Json) -> list[Json]:
    if value is None:
        return []
    return _items(value) if isinstance(value, list) else [value]


def _first(value: Json) -> Json:
    items = _items(value)
    return items[0] if items else None


def _rest(value: Json) -> list[Json]:
    return _items(value)[1:]


def _unique(value: Json) -> list[Json]:
    return list(dict.fromkeys(as_text(item) for item in _items(value)))


def _join(value: Json, between: Json) -> str | None:
    texts = [as_text(item) for item in _items(value) if item is not None]
    return bounded(as_text(between).join(texts)) if texts else None


def _within(path: Json, folder: Json) -> str | None:
    return paths.within(as_text(folder) if folder else "", as_text(path))


def _map_key(value: Json, *keys: Json) -> list[Json]:
    maps = (item for item in _items(value) if isinstance(item, dict))
    found = (next((each[key] for key in keys if each.get(key)), None) for each in maps)
    return [item for item in found if item is not None]


def _entries(value: Json) -> list[Json]:
    """A map as a list of maps with `key` and `value`."""
    if not isinstance(value, dict):
        raise EvaluationError(f"expected a map and found {kind_of(value)}")
    if len(value) > LIST_LIMIT:
        raise EvaluationError(f"a map of {len(value):,} keys; the limit is {LIST_LIMIT:,}")
    return [{"key": key, "value": item} for key, item in value.items()]


def _having(value: Json, key: Json, wanted: Json) -> list[Json]:
    """The maps of a list whose key, such as `name` or `metadata.name`, has a value."""
    steps = as_text(key).split(".")
    return [item for item in _items(value) if wanted is not None and _at(item, steps) == wanted]


def _at(value: Json, steps: Sequence[str]) -> Json:
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _lookup(value: Json, table: Json, other: Json = None) -> Json:
    if not isinstance(table, Mapping):
        raise EvaluationError("lookup needs a table like {'from': 'to'}")
    return other if value is None else table.get(as_text(value), other)


FILTERS: Final[Mapping[str, Filter]] = {
    "slug": Filter(_texts(naming.slug)),
    "tag": Filter(_texts(naming.tag)),
    "label": Filter(_texts(naming.label)),
    "tier": Filter(_texts(naming.tier)),
    "url": Filter(_texts(naming.web_url)),
    "host": Filter(_texts(naming.host)),
    "dirname": Filter(_texts(_dirname)),
    "basename": Filter(_texts(_basename)),
    "stem": Filter(_texts(_stem)),
    "removeprefix": Filter(_removeprefix, 1, 1),
    "removesuffix": Filter(_removesuffix, 1, 1),
    "urlpath": Filter(_texts(naming.url_path)),
    "within": Filter(_within, 1, 1),
    "definition": Filter(definition, 0, 1),
    "definition_fault": Filter(definition_fault, 0, 1),
    "lower": Filter(_texts(str.lower)),
    "upper": Filter(_texts(str.upper)),
    "trim": Filter(_texts(str.strip)),
    "text": Filter(as_text),
    "ref": Filter(_ref, 1, 1),
    "default": Filter(_default, 1, 1, takes_null=True, gives="either"),
    "first": Filter(_first, gives="item"),
    "rest": Filter(_rest, gives="same"),
    "list": Filter(_list, takes_null=True, gives="list"),
    "unique": Filter(_unique, gives="same"),
    "join": Filter(_join, 1, 1),
    "map_key": Filter(_map_key, 1, 4),
    "items": Filter(_entries),
    "having": Filter(_having, 2, 2, gives="same"),
    "lookup": Filter(_lookup, 1, 2, takes_null=True),
}
