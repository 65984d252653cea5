"""Flags beat FESTER_… variables beat `fester.yaml`; every problem at once.

The file is found by `--config`, else `fester.yaml` in the working directory if there is one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from bridge.errors import ConfigurationError
from bridge.language.names import nearest
from bridge.language.source import Source
from bridge.model.numbers import FIRST_CALLED
from bridge.model.problems import Problem
from bridge.secret.values import shared_secret
from bridge.settings.given_secrets import (
    FILE,
    OF_RECEIVER,
    PER_SOURCE,
    SECRETS,
    TEAM_WEBHOOK,
    GivenSecret,
    given,
    mask_everything,
    normal_of,
    of_source,
)
from bridge.settings.named_secrets import named_secrets
from bridge.settings.places import placed
from bridge.settings.sections import Settings
from bridge.settings.sources import SourceSettings
from bridge.settings.values import WRITTEN

CONFIG_NAME = "fester.yaml"
PREFIX = "FESTER_"
# How the variables begin that end with a name which people chose.
_BY_NAME = (TEAM_WEBHOOK, OF_RECEIVER, *map(of_source, PER_SOURCE))
_COMMENT = re.compile(r":\s+(#[^\s#]\S*)")
# Fields that stand in no file and in no variable of their own name.
_OF_SOURCES = ("further", "source_secrets", "token_variable")
NOT_WRITTEN = (*SECRETS, *_OF_SOURCES, "team_webhooks", "receiver_secrets", "secret_files")


def load_settings(
    flags: Mapping[str, Any],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    need: tuple[str, ...] = (),
    uses: Collection[str] | None = None,
) -> Settings:
    """Merge flags, variables and the file; validate; return settings.

    `flags` holds what the command line gave (None or empty: not given), by the file's key names.
    `need` names keys that must not be empty; `uses` the secrets' fields that the command uses
    (None: all): others are neither read nor missed. Raises `ConfigurationError` with every
    problem.
    """
    environment = os.environ if environment is None else environment
    used = (*SECRETS, "team_webhooks", "receiver_secrets") if uses is None else tuple(uses)
    problems: list[Problem] = []
    tree, places, unread = _written(flags, config, environment, problems)
    mask_everything(environment, [tree.get("store"), *_urls(tree.get("from"))])
    secrets = _secrets(environment, used, problems)
    whole = tree | {name: secret.value for name, secret in secrets.items()}
    settings = _validated(whole, places, problems)
    problems.extend(_missing(settings, need))
    problems.extend(_contradictions(settings, places, used, environment))
    problems.extend(_groups_of_nobody(settings, places, unread))
    named = named_secrets(settings, environment, used, places, problems, unread=unread)
    if problems:
        raise ConfigurationError(problems)
    named["secret_files"] |= {name: each.file for name, each in secrets.items() if each.file}
    return settings.model_copy(update=named)


def _written(
    flags: Mapping[str, Any],
    config: Path | None,
    environment: Mapping[str, str],
    problems: list[Problem],
) -> tuple[dict[str, Any], dict[tuple[str, ...], str], frozenset[str]]:
    """What the file, variables and flags say, one above the other, and where each key stands.

    The names at last are those of GitLabs in the file's list, in whose place others are read now.
    """
    tree, places = _read_file(config, problems)
    listed = tree.get("from")
    _note_secrets(tree, places, problems)
    for key in ("further", "token_variable"):
        if tree.pop(key, None) is not None:
            problems.append(_unknown(key, key, places.get((key,), "")))
    _store_from_file(environment, tree, places, problems)
    _overlay(tree, _from_variables(environment, places, problems), places)
    for key, value in flags.items():
        if value not in (None, (), ""):
            _overlay(tree, {key: value}, places, place=_flag(key))
    unread = _names_in(listed) if tree.get("from") is not listed else frozenset()
    return tree, places, unread


def _names_in(listed: object) -> frozenset[str]:
    """The names of the GitLabs of a list, as far as it is what it should be."""
    items = listed if isinstance(listed, list) else []
    return frozenset(
        str(each["name"]) for each in items if isinstance(each, dict) and "name" in each
    )


def _validated(
    tree: Mapping[str, Any], places: Mapping[tuple[str, ...], str], problems: Sequence[Problem]
) -> Settings:
    """The settings; raises `ConfigurationError` with what is wrong with them after `problems`."""
    try:
        return Settings.model_validate(tree, context=WRITTEN)
    except ValidationError as error:
        found = [_problem(item, places) for item in error.errors(include_url=False)]
        raise ConfigurationError([*problems, *found]) from None


def _missing(settings: Settings, need: Sequence[str]) -> Iterator[Problem]:
    for key in need:
        if not (settings.source if key == "from" else getattr(settings, key)):
            yield Problem(
                f"{_flag(key)} is missing: {_field_of(Settings, key).description}. "
                f"Give the flag, set {PREFIX}{key.upper()}, or write `{key}:` in {CONFIG_NAME}",
                "setting-missing",
            )


def _urls(written: object) -> list[object]:
    """The URLs in `from`, as far as it is what it should be."""
    items = written if isinstance(written, list) else [written]
    return [each.get("url") if isinstance(each, dict) else each for each in items]


def _secrets(
    environment: Mapping[str, str], used: Collection[str], problems: list[Problem]
) -> dict[str, GivenSecret]:
    """The secrets that are used and given, by their fields."""
    found = {
        name: given(variable, environment, problems, normal_of(name))
        for name, variable in SECRETS.items()
        if name in used
    }
    return {name: secret for name, secret in found.items() if secret is not None}


def _store_from_file(
    environment: Mapping[str, str],
    tree: dict[str, Any],
    places: dict[tuple[str, ...], str],
    problems: list[Problem],
) -> None:
    """The store's URL from a file, for it may hold a password; a flag still beats it."""
    variable = f"{PREFIX}STORE"
    if f"{variable}{FILE}" not in environment:
        return
    found = given(variable, environment, problems, shared_secret)
    if found is not None:
        _overlay(tree, {"store": found.value}, places, place=f"variable {variable}{FILE}")


def _contradictions(
    settings: Settings,
    places: Mapping[tuple[str, ...], str],
    used: Collection[str],
    environment: Mapping[str, str],
) -> Iterator[Problem]:
    """What each setting allows and all of them together do not, for a command that uses it."""
    yield from _without_backstage(settings, places)
    own = settings.gitlab.url.rstrip("/")
    if own and settings.source and not f"{settings.source}/".startswith(f"{own}/"):
        yield placed(
            f"`gitlab.url` is {own}, and `from` does not lie under it: they must begin alike",
            places.get(("gitlab", "url"), ""),
        )
    variable = SECRETS["backstage_token"]
    # One that is there and cannot be used is a problem already.
    given_at_all = environment.get(variable) or environment.get(f"{variable}{FILE}")
    if "backstage_token" in used and not given_at_all:
        for path in _asking_backstage(settings):
            yield placed(
                f"`{'.'.join(path)}` needs a token in {variable}: one of "
                "`backend.auth.externalAccess` in Backstage's app-config.yaml",
                places.get(path, ""),
            )


def _asking_backstage(settings: Settings) -> Iterator[tuple[str, str]]:
    """Where the settings wish for what only Backstage's backend can give, to who has a token."""
    if settings.backstage.refresh:
        yield "backstage", "refresh"
    if settings.owners.backstage:
        yield "owners", "backstage"


def _without_backstage(
    settings: Settings, places: Mapping[tuple[str, ...], str]
) -> Iterator[Problem]:
    """What needs Backstage's backend, where no setting says where that is."""
    access = settings.access
    wished = [*_asking_backstage(settings)]
    wished += [("access", "backstage_users")] if access.backstage_users else []
    wished += [("access", "backstage_plugins")] if access.backstage_plugins else []
    for path in wished if not settings.backstage.url else ():
        message = f"`{'.'.join(path)}` needs `backstage.url`, the address of its backend"
        yield placed(message, places.get(path, ""))


def _groups_of_nobody(
    settings: Settings, places: Mapping[tuple[str, ...], str], unread: Collection[str]
) -> Iterator[Problem]:
    """Groups of which nobody can tell in which of the GitLabs they are, or that are of none.

    One that a policy is silently not applied to would be written to against somebody's will;
    in those that are `unread` nothing is written.
    """
    known = [FIRST_CALLED, *(each.name for each in settings.further)]
    for written in settings.remediation.groups:
        source, colon, path = written.rpartition(":")
        if source in known or source in unread or not (colon or settings.further):
            continue
        called = f"no item of `from` is called {source}" if colon else "several GitLabs are read"
        names = [f"{name}:{path}" for name in known] if settings.further else [path]
        message = (
            f"`remediation.groups.{written}`: {called}; write whose group it is: {', '.join(names)}"
        )
        yield placed(message, places.get(("remediation", "groups", written), ""))


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _read_file(
    config: Path | None, problems: list[Problem]
) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """The file as a tree, and where each key stands ("file:line:col")."""
    path = config or Path(CONFIG_NAME)
    if config is None and not path.exists():
        return {}, {}
    expected = "must hold `key: value` lines"
    source, tree, _ = Source.opened(path, "setting-invalid", expected, empty=True)
    places = dict(_places(tree, (), source))
    _note_comments(tree, source.lines, places, problems)
    return tree, places


def _places(
    tree: dict[str, Any], above: tuple[str, ...], source: Source
) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in tree.items():
        path = (*above, key)
        spot = source.positions.key(path)
        yield path, f"{source.file}:{spot.line}:{spot.column}"
        if isinstance(value, dict):
            yield from _places(value, path, source)


def _note_comments(
    tree: dict[str, Any],
    lines: Sequence[str],
    places: Mapping[tuple[str, ...], str],
    problems: list[Problem],
) -> None:
    """Find values that YAML took for comments (`label: #ox`), and leave their keys out."""
    for path, place in places.items():
        below: Any = tree
        for key in path[:-1]:
            below = below.get(key) if isinstance(below, dict) else None
        if not isinstance(below, dict) or below.get(path[-1], "") is not None:
            continue
        found = _COMMENT.search(lines[int(place.split(":")[-2]) - 1])
        if found:
            del below[path[-1]]
            message = (
                f"`{'.'.join(path)}` is empty, for YAML takes {found[1]} for a comment; "
                f"write '{found[1]}' in quotes"
            )
            problems.append(placed(message, place))


def _note_secrets(
    tree: dict[str, Any], places: Mapping[tuple[str, ...], str], problems: list[Problem]
) -> None:
    wherever = {
        "team_webhooks": f"{TEAM_WEBHOOK}… and name it in `remediation.webhooks`",
        "source_secrets": f"{of_source('token')}…",
        "receiver_secrets": f"{OF_RECEIVER}…",
    }
    for key, variable in (SECRETS | wherever | {"secret_files": "…_FILE"}).items():
        if key in tree:
            del tree[key]
            message = f"a secret must not stand in a file; set the variable {variable} instead"
            problems.append(placed(message, places.get((key,), "")))


def _from_variables(
    environment: Mapping[str, str],
    places: dict[tuple[str, ...], str],
    problems: list[Problem],
) -> dict[str, Any]:
    """FESTER_KEY and FESTER_SECTION__KEY as a tree; unknown ones are problems."""
    tree: dict[str, Any] = {}
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name.startswith(_BY_NAME):
            continue
        if name.removesuffix(FILE) in SECRETS.values() or name == f"{PREFIX}STORE{FILE}":
            continue
        path = tuple(name[len(PREFIX) :].lower().split("__"))
        if _field_of(Settings, path[0]) is None or path[0] in NOT_WRITTEN:
            problems.append(_unknown(name, path[0], f"variable {name}"))
            continue
        below: Any = tree
        for key in path[:-1]:
            below = below.setdefault(key, {}) if isinstance(below, dict) else below
        if not isinstance(below, dict):  # FESTER_GUARD=x beside FESTER_GUARD__SHARE
            continue  # the shorter one is a problem by itself
        below[path[-1]] = environment[name]
        places[path] = f"variable {name}"
    return tree


def _overlay(
    tree: dict[str, Any],
    over: Mapping[str, Any],
    places: dict[tuple[str, ...], str],
    place: str = "",
) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _overlay(tree[key], value, places)
        else:
            tree[key] = value
            if place:
                places[key,] = place


def _field_of(model: type[BaseModel], key: str) -> Any:
    """A model's field by the name that users write."""
    for name, found in model.model_fields.items():
        if key == (found.alias or name):
            return found
    return None


def _names(path: tuple[str, ...]) -> list[str]:
    # Of a list in `from`, the keys are those of its items.
    of_list = path[:1] == ("from",)
    model: type[BaseModel] = SourceSettings if of_list else Settings
    keys = iter(path[of_list:])
    for key in keys:
        found = _field_of(model, key)
        below = getattr(found, "annotation", None)
        if get_origin(below) is dict:  # the next key is one that people choose
            next(keys, None)
        # A section, a list of sections, or sections by name.
        inside = (below, *get_args(below))
        sections = [m for m in inside if isinstance(m, type) and issubclass(m, BaseModel)]
        if not sections:
            return []
        model = sections[0]
    return [f.alias or name for name, f in model.model_fields.items() if name not in NOT_WRITTEN]


def _unknown(shown: str, key: str, place: str, above: tuple[str, ...] = ()) -> Problem:
    near = nearest(key, _names(above))
    hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(_names(above))}"
    return placed(f"`{shown}` is not a setting: {hint}", place)


def _problem(item: Any, places: Mapping[tuple[str, ...], str]) -> Problem:
    path = tuple(str(part) for part in item["loc"] if isinstance(part, str))
    path = ("from", *path[1:]) if path[:1] == ("further",) else path or ("from",)
    shown = ".".join(path)
    place = next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), "")
    if item["type"] == "extra_forbidden":
        return _unknown(shown, path[-1], place, path[:-1])
    message = item["msg"].removeprefix("Value error, ")
    return placed(f"`{shown}`: {message[0].lower()}{message[1:]}", place)
