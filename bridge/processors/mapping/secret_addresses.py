"""Addresses that are secrets, such as incoming webhooks: who has one can post there."""

from __future__ import annotations

from typing import Any, Final

import re2  # type: ignore[import-untyped]  # it ships no types

from bridge.language.text_positions import Path
from bridge.model.entities import Json

# What tells such an address apart, behind `https://`.
_SIGNS: Final = (
    r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[^\s/]",
    r"(?:[a-z0-9-]+\.)?webhook\.office\.com/",
    r"outlook\.office(?:365)?\.com/webhook/",
    r"(?:[a-z]+\.)?discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/",
    r"chat\.googleapis\.com/v1/spaces/",
    r"hooks\.zapier\.com/hooks/",
    r"events\.(?:eu\.)?pagerduty\.com/(?:integration|x-ere)/",
    r"alert\.victorops\.com/integrations/",
    r"open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/",
    r"oapi\.dingtalk\.com/robot/",
    r"qyapi\.weixin\.qq\.com/cgi-bin/webhook/",
    r"api\.telegram\.org/(?:file/)?bot[0-9]+:",
    r"maker\.ifttt\.com/(?:use|trigger/[^\s/]+(?:/json)?/with/key)/",
    r"(?:webexapis|api\.ciscospark)\.com/v1/webhooks/incoming/",
    r"hook\.(?:[a-z0-9]+\.)?(?:make|integromat)\.com/[^\s/]",
    r"(?:hc-ping\.com|uptime\.betterstack\.com/api/v1/heartbeat)/[^\s/]",
    r"[^\s/?#]+/hooks/[a-z0-9]{17,}(?:/|\b)",  # Mattermost, Rocket.Chat
    r"[^\s/?#@:]+:[^\s/?#@]+@",  # a password
    r"(?:gl[a-z]{2,6}-|gh[a-z]_|github_pat_|xox[a-z]-)[^\s/?#@]+@",  # a token as the user's name
    r"[^\s?#]+\?[^\s#]*?\b(?:sig|signature|secret|passw(?:or)?d|api[-_]?key|"
    r"(?:(?:access|private|auth)[-_])?token)=[^&\s#]{8}",
)


def _pattern() -> Any:
    """Matched in linear time: a stranger's text may hold thousands of addresses."""
    options = re2.Options()
    options.case_sensitive = False
    return re2.compile(rf"https?://(?:{'|'.join(_SIGNS)})[^\s<>\"']*", options)


_ADDRESS: Final = _pattern()
_INSTEAD: Final = "(a secret address)"


def masked(text: str) -> str:
    """The text with every secret address in it replaced by words."""
    if "://" not in text:
        return text
    kept: str = _ADDRESS.sub(_INSTEAD, text)
    return kept


def without_secrets(tree: Json, path: Path = ()) -> tuple[Json, list[Path]]:
    """A manifest's tree without secret addresses, and the paths of the values that held one.

    A value that is one becomes null; a list's item that holds one at its first level does, too,
    since a contact without its address is no contact. A longer text keeps its other words.
    Positions stay: no item of a list moves. The same tree when it holds none.
    """
    return _cleaned(tree, path) if _holds_one(tree) else (tree, [])


def _holds_one(tree: Json) -> bool:
    """Whether there is a secret address: few trees have one, and to take it out costs more."""
    if isinstance(tree, str):
        return "://" in tree and _ADDRESS.search(tree) is not None
    if isinstance(tree, dict):
        return any(map(_holds_one, tree.values()))
    return isinstance(tree, list) and any(map(_holds_one, tree))


def _cleaned(tree: Json, path: Path) -> tuple[Json, list[Path]]:
    if isinstance(tree, str):
        if "://" not in tree or not _ADDRESS.search(tree):
            return tree, []
        whole = _ADDRESS.fullmatch(tree.strip())
        return (None if whole else masked(tree)), [path]
    if isinstance(tree, dict):
        pairs = {key: _cleaned(value, (*path, key)) for key, value in tree.items()}
        found = [each for _, paths in pairs.values() for each in paths]
        return ({key: value for key, (value, _) in pairs.items()} if found else tree), found
    if isinstance(tree, list):
        items = [_cleaned(item, (*path, at)) for at, item in enumerate(tree)]
        found = [each for _, paths in items for each in paths]
        kept = [
            None if _lost_its_address(old, new) else new
            for old, (new, _) in zip(tree, items, strict=True)
        ]
        return (kept if found else tree), found
    return tree, []


def _lost_its_address(old: Json, new: Json) -> bool:
    return isinstance(old, dict) and any(
        new[key] is None and value is not None for key, value in old.items()
    )
