"""Flags beat FESTER_… variables beat `fester.yaml`; every problem at once.

The file is found by `--config`, else `fester.yaml` in the working directory if there is one.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bridge.errors import ConfigurationError
from bridge.model.problems import Problem
from bridge.settings.sections import Settings

CONFIG_NAME = "fester.yaml"
PREFIX = "FESTER_"
TEAM_WEBHOOK = "FESTER_DIGEST_WEBHOOK_"
_CONFIG_LIMIT = 1_000_000  # bytes
# The fields that hold secrets, and the variables that they come from.
SECRETS = {
    "snyk_token": "SNYK_TOKEN",
    "pagerduty_token": "PAGERDUTY_TOKEN",
    "digest_webhook": "FESTER_DIGEST_WEBHOOK",
    "token": "GITLAB_TOKEN",
    "backstage_token": "FESTER_BACKSTAGE_TOKEN",
    "webhook_token": "FESTER_WEBHOOK_TOKEN",
    "webhook_signing_key": "FESTER_WEBHOOK_SIGNING_KEY",
}


def load_settings(
    flags: Mapping[str, Any],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    need: tuple[str, ...] = (),
) -> Settings:
    """Merge flags, variables and the file; validate; return settings.

    `flags` holds what the command line gave (None or empty: not given), by the file's key names.
    `need` names keys that must not be empty. Raises `ConfigurationError` with every problem.
    """
    environment = os.environ if environment is None else environment
    problems: list[Problem] = []
    tree, places = _read_file(config, problems)
    _note_secrets(tree, places, problems)
    _overlay(tree, _from_variables(environment, places, problems), places)
    for key, value in flags.items():
        if value not in (None, (), ""):
            _overlay(tree, {key: value}, places, place=f"--{key.replace('_', '-')}")
    for key, variable in SECRETS.items():
        tree[key] = environment.get(variable) or None
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        problems.extend(_problem(item, places) for item in error.errors(include_url=False))
        raise ConfigurationError(problems) from None
    problems.extend(
        Problem(
            f"{_flag(key)} is missing: {_field_of(Settings, key).description}. "
            f"Give the flag, set {PREFIX}{key.upper()}, or write `{key}:` in {CONFIG_NAME}",
            "setting-missing",
        )
        for key in need
        if not (settings.source if key == "from" else getattr(settings, key))
    )
    problems.extend(_contradictions(settings, places))
    teams: dict[str, SecretStr] = {}
    for team, variable in settings.remediation.webhooks.items():
        if environment.get(variable):
            teams[team] = SecretStr(environment[variable])
            continue
        message = f"the variable {variable} is not set; it holds the address of {team}'s webhook"
        problems.append(_placed(message, places.get(("remediation", "webhooks", team), "")))
    if problems:
        raise ConfigurationError(problems)
    return settings.model_copy(update={"team_webhooks": teams})


def _contradictions(settings: Settings, places: Mapping[tuple[str, ...], str]) -> Iterator[Problem]:
    """What each setting allows and all of them together do not."""
    access, backstage = settings.access, settings.backstage
    wishes = {
        ("backstage", "refresh"): backstage.refresh,
        ("access", "backstage_users"): access.backstage_users,
        ("access", "backstage_plugins"): bool(access.backstage_plugins),
    }
    for path, wished in wishes.items():
        if wished and not backstage.url:
            message = f"`{'.'.join(path)}` needs `backstage.url`, the address of its backend"
            yield _placed(message, places.get(path, ""))
    if backstage.refresh and settings.backstage_token is None:
        yield _placed(
            f"`backstage.refresh` needs a token in {SECRETS['backstage_token']}: one of "
            "`backend.auth.externalAccess` in Backstage's app-config.yaml",
            places.get(("backstage", "refresh"), ""),
        )


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _read_file(
    config: Path | None, problems: list[Problem]
) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """The file as a tree, and where each key stands ("file:line:col")."""
    path = config or Path(CONFIG_NAME)
    if config is None and not path.exists():
        return {}, {}
    try:
        raw = path.read_bytes()
        if len(raw) > _CONFIG_LIMIT:
            raise ValueError(f"larger than {_CONFIG_LIMIT} bytes")
        loaded = YAML(typ="rt").load(raw.decode("utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = f"not YAML: {error.problem or error.context}"
        problem = Problem(message, "config-syntax", file=str(path), line=line, column=column)
        raise ConfigurationError([problem]) from None
    except (OSError, ValueError, YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problem = Problem(f"cannot be read: {reason}", "config-unreadable", file=str(path))
        raise ConfigurationError([problem]) from None
    if loaded is None:
        return {}, {}
    if not isinstance(loaded, CommentedMap):
        problem = Problem(
            "must hold `key: value` lines", "config-syntax", file=str(path), line=1, column=1
        )
        raise ConfigurationError([problem])
    places: dict[tuple[str, ...], str] = {}
    return _plain(loaded, (), str(path), places), places


def _plain(
    node: CommentedMap, above: tuple[str, ...], file: str, places: dict[tuple[str, ...], str]
) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in node.items():
        line, column = node.lc.key(key)
        path = (*above, str(key))
        places[path] = f"{file}:{line + 1}:{column + 1}"
        tree[str(key)] = (
            _plain(value, path, file, places) if isinstance(value, CommentedMap) else value
        )
    return tree


def _note_secrets(
    tree: dict[str, Any], places: Mapping[tuple[str, ...], str], problems: list[Problem]
) -> None:
    wherever = {"team_webhooks": f"{TEAM_WEBHOOK}… and name it in `remediation.webhooks`"}
    for key, variable in (SECRETS | wherever).items():
        if key in tree:
            del tree[key]
            message = f"a secret must not stand in a file; set the variable {variable} instead"
            problems.append(_placed(message, places.get((key,), "")))


def _from_variables(
    environment: Mapping[str, str],
    places: dict[tuple[str, ...], str],
    problems: list[Problem],
) -> dict[str, Any]:
    """FESTER_KEY and FESTER_SECTION__KEY as a tree; unknown ones are problems."""
    tree: dict[str, Any] = {}
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in SECRETS.values():
            continue
        if name.startswith(TEAM_WEBHOOK):
            continue
        path = tuple(name[len(PREFIX) :].lower().split("__"))
        if _field_of(Settings, path[0]) is None or path[0] in (*SECRETS, "team_webhooks"):
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
    model: type[BaseModel] = Settings
    keys = iter(path)
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
    return [
        f.alias or name
        for name, f in model.model_fields.items()
        if name not in (*SECRETS, "team_webhooks")
    ]


def _unknown(shown: str, key: str, place: str, above: tuple[str, ...] = ()) -> Problem:
    near = difflib.get_close_matches(key, _names(above), n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(_names(above))}"
    return _placed(f"`{shown}` is not a setting: {hint}", place)


def _placed(message: str, place: str) -> Problem:
    """A problem at "file:line:col", or at a flag or variable."""
    found = re.fullmatch(r"(.+):(\d+):(\d+)", place)
    if found:
        return Problem(
            message, "setting-invalid", file=found[1], line=int(found[2]), column=int(found[3])
        )
    return Problem(message, "setting-invalid", file=place)


def _problem(item: Any, places: Mapping[tuple[str, ...], str]) -> Problem:
    path = tuple(str(part) for part in item["loc"] if isinstance(part, str))
    shown = ".".join(path)
    place = next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), "")
    if item["type"] == "extra_forbidden":
        return _unknown(shown, path[-1], place, path[:-1])
    message = item["msg"].removeprefix("Value error, ")
    return _placed(f"`{shown}`: {message[0].lower()}{message[1:]}", place)
