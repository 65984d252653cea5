"""GitLab's groups with their members, each as a manifest of its own that mappings translate.

A group comes as a record like a project's, under the group's id with a minus sign, with a file
`gitlab:group` that holds what GitLab tells of it as JSON. So what is known of a group that cannot
be read is kept by the same rules as a project's manifest. No repository has a file of that name.

GitLab tells of no group or membership when it changed: all are read in every full sweep, and only
those that could not be read in between. https://docs.gitlab.com/api/graphql/reference/#group
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.errors import SourceRefused
from bridge.model.entities import Json
from bridge.model.scrape import (
    GROUP_FILE,
    Gap,
    ManifestFile,
    Project,
    ProjectGone,
    ProjectRead,
    ProjectSkipped,
    Record,
)
from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.deletion import group_marked_for_deletion
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.scrapers.gitlab.trouble import Cause, Trouble

PAGE: Final = 40  # groups a request, to start with: complexity 100 of 250
SAMPLE: Final = 20  # groups that are looked at before a first crawl
MEMBERS: Final = 100  # members of a group that come with its page; more are asked for
_OF_ONE_FILE: Final = 400  # members a manifest tells of, which may make 500 entities
_MOST_MEMBERS: Final = 20_000
_MOST_PAGES: Final = 10_000

_MEMBERS = """
groupMembers(relations: [DIRECT, SHARED_FROM_GROUPS], first: $members, after: $from) {
  nodes {
    accessLevel { integerValue }
    group { id }
    user { username name publicEmail state bot }
  }
  pageInfo { hasNextPage endCursor }
}
"""
_GROUP = f"id fullPath name description webUrl parent {{ fullPath }} {_MEMBERS}"
_VARIABLES = "$first: Int, $after: String, $members: Int, $from: String"
ALL_GROUPS: Final = f"""
query groups({_VARIABLES}) {{
  groups(first: $first, after: $after) {{
    nodes {{ {_GROUP} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""
SUBGROUPS: Final = f"""
query subgroups($path: ID!, {_VARIABLES}) {{ group(fullPath: $path) {{
  descendantGroups(first: $first, after: $after) {{
    nodes {{ {_GROUP} }} pageInfo {{ hasNextPage endCursor }}
  }}
}} }}
"""
# One position of these lists without members, for a group whose members GitLab cannot tell.
_BARE_PAGE: Final = "nodes { id fullPath } pageInfo { hasNextPage endCursor }"
BARE_OF_ALL: Final = f"""
query bareGroups($first: Int, $after: String) {{
  groups(first: $first, after: $after) {{ {_BARE_PAGE} }}
}}
"""
BARE_BELOW: Final = f"""
query bareSubgroups($path: ID!, $first: Int, $after: String) {{ group(fullPath: $path) {{
  descendantGroups(first: $first, after: $after) {{ {_BARE_PAGE} }}
}} }}
"""
ONE_GROUP: Final = f"""
query oneGroup($path: ID!, $members: Int, $from: String) {{ group(fullPath: $path) {{ {_GROUP} }} }}
"""

_HIDDEN: Final = "GitLab does not show its members to this token"
_GONE: Final = "GitLab answers 404 by its id: it was deleted, or this token is no longer shown it"


@dataclass(frozen=True, slots=True)
class _Listed:
    """One page of groups, as nodes; those that an error names, by index; the next page's cursor."""

    nodes: Sequence[Any]
    failed: Mapping[int, str]
    cursor: str | None


class People:
    """Reads groups and hands a record of each to `emit`. Never raises `Trouble`."""

    def __init__(
        self,
        client: GitLabClient,
        options: GitLabOptions,
        emit: Callable[[Record], Awaitable[None]],
    ) -> None:
        self._client = client
        self._options = options
        self._emit = emit
        self._seen: set[str] = set()

    async def everything(self) -> None:
        """All groups of the instance, or those of the settings with all below."""
        for root in self._options.groups:
            await self._one(root)
            await self._listing(SUBGROUPS, root)
        if not self._options.groups:
            await self._listing(ALL_GROUPS, "")

    async def some(self) -> None:
        """The groups of the settings without what is below, or the first ones of the instance."""
        for root in self._options.groups:
            await self._one(root)
        if not self._options.groups:
            try:
                asked = {"first": SAMPLE, "members": MEMBERS}
                page = _page(await self._asked(ALL_GROUPS, asked), "")
            except Trouble as trouble:
                await self._emit(Gap(f"the groups could not be listed: {trouble.reason}"))
                return
            for index, node in enumerate(page.nodes):
                await self._listed(node, page.failed.get(index, ""), "the groups")

    async def again(self, group_ids: Sequence[int]) -> None:
        """Groups by id, once more: those that could not be read."""
        for group_id in group_ids:
            try:
                answer = await self._client.get(f"/groups/{group_id}", {"with_projects": "false"})
                path = answer.body["full_path"]
            except Trouble as trouble:
                if trouble.cause is Cause.NOT_THERE:
                    await self._emit(ProjectGone(-group_id, _GONE))
                else:
                    await self._emit(Gap(trouble.reason, -group_id))
            except (SourceRefused, KeyError, TypeError):
                await self._emit(Gap("GitLab does not tell of it by its id", -group_id))
            else:
                await self._one(str(path), group_id)

    async def _listing(self, query: str, root: str) -> None:
        """Page by page, in smaller ones where GitLab cannot make them, and past one that fails."""
        cursor: str | None = None
        size = PAGE
        where = f"the groups of {root}" if root else "the groups"
        for _ in range(_MOST_PAGES):
            variables = {"first": size, "after": cursor} | ({"path": root} if root else {})
            try:
                page = _page(await self._asked(query, variables | {"members": MEMBERS}), root)
            except Trouble as trouble:
                if size > 1 and trouble.cause is not Cause.NOT_UNDERSTOOD:
                    size //= 2
                    continue
                bare = await self._bare(variables, trouble.reason) if size == 1 else None
                if bare is None:
                    await self._emit(Gap(f"{where} could not be listed: {trouble.reason}"))
                    return
                page = bare
            else:
                size = min(PAGE, size * 2)
            for index, node in enumerate(page.nodes):
                await self._listed(node, page.failed.get(index, ""), where)
            if page.cursor is None:
                return
            cursor = page.cursor
        await self._emit(Gap(f"{where} could not be listed: there are too many"))

    async def _bare(self, variables: Mapping[str, Any], reason: str) -> _Listed | None:
        """The one group at this position, marked as failed; None when it cannot be told either."""
        root = str(variables.get("path", ""))
        try:
            page = _page(await self._asked(BARE_BELOW if root else BARE_OF_ALL, variables), root)
        except Trouble:
            return None
        return _Listed(page.nodes, dict.fromkeys(range(len(page.nodes)), reason), page.cursor)

    async def _one(self, path: str, group_id: int | None = None) -> None:
        """One group by its path."""
        try:
            answer = await self._asked(ONE_GROUP, {"path": path, "members": MEMBERS})
            node = answer["data"]["group"]
            if node is None:
                raise Trouble(Cause.NOT_THERE, "GitLab shows no such group to this token")
            if _errors(answer):
                raise Trouble(Cause.BUSY, f"GitLab answered with an error: {_errors(answer)[0]}")
        except Trouble as trouble:
            known = -group_id if group_id is not None else None
            where = "" if known is not None else f"the group {path}: "
            await self._emit(Gap(f"{where}{trouble.reason}", known, path if known else ""))
            return
        await self._listed(node, "", f"the group {path}")

    async def _listed(self, node: Any, failed: str, where: str) -> None:
        """What is known of one group by its node: a record of it, or a gap."""
        try:
            group_id, path = int(node["id"].rpartition("/")[2]), str(node["fullPath"])
        except (KeyError, TypeError, ValueError, AttributeError):
            await self._emit(
                Gap(f"{where} could not be listed whole: {failed or 'one is missing'}")
            )
            return
        if path in self._seen:
            return
        self._seen.add(path)
        if group_marked_for_deletion(path):
            await self._emit(
                ProjectSkipped(Project(-group_id, path), "scheduled for deletion in GitLab")
            )
            return
        if failed:
            await self._emit(Gap(f"GitLab answered with an error: {failed}", -group_id, path))
            return
        try:
            members = await self._members(node["groupMembers"], group_id, path)
        except Trouble as trouble:
            await self._emit(Gap(trouble.reason, -group_id, path))
        else:
            await self._emit(_record(node, group_id, path, members))

    async def _members(self, connection: Any, group_id: int, path: str) -> list[dict[str, Json]]:
        """All members; those beyond the first page are asked for. Raises `Trouble`."""
        found: dict[str, dict[str, Json]] = {}
        while True:
            if connection is None:
                raise Trouble(Cause.NOT_UNDERSTOOD, _HIDDEN)
            try:
                for node in connection["nodes"]:
                    member = _member(node, group_id)
                    if member is not None:
                        found.setdefault(member["username"], member)
                info = connection["pageInfo"]
                cursor = str(info["endCursor"]) if info["hasNextPage"] else None
            except (KeyError, TypeError, AttributeError):
                raise Trouble(Cause.BUSY, "the list of its members is not whole") from None
            if cursor is None:
                return [found[name] for name in sorted(found)]
            if len(found) > _MOST_MEMBERS:
                raise Trouble(Cause.NOT_UNDERSTOOD, f"it has more than {_MOST_MEMBERS:,} members")
            answer = await self._asked(
                ONE_GROUP, {"path": path, "members": MEMBERS, "from": cursor}
            )
            if _errors(answer):
                raise Trouble(Cause.BUSY, f"a page of its members failed: {_errors(answer)[0]}")
            group = answer["data"]["group"]
            connection = group["groupMembers"] if isinstance(group, dict) else None

    async def _asked(self, query: str, variables: Mapping[str, Any]) -> Any:
        """The answer with its `data`. Raises `Trouble`."""
        answer = await self._client.graphql(query, variables, patient=True)
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
            errors = _errors(answer) if isinstance(answer, dict) else []
            said = f": {errors[0]}" if errors else " without data"
            raise Trouble(Cause.NOT_UNDERSTOOD, f"GitLab answered{said}")
        return answer


def _errors(answer: Mapping[str, Any]) -> list[str]:
    errors = answer.get("errors")
    return [
        str(error.get("message") if isinstance(error, dict) else error)[:200]
        for error in (errors if isinstance(errors, list) else ())
    ]


def _page(answer: Mapping[str, Any], root: str) -> _Listed:
    """One page of groups. Raises `Trouble` when it is not known whose the errors are."""
    errors = answer.get("errors")
    failed: dict[int, str] = {}
    for error, message in zip(errors or (), _errors(answer), strict=False):
        path = error.get("path") if isinstance(error, dict) else None
        index = next((part for part in path or () if isinstance(part, int)), None)
        if index is None:
            raise Trouble(Cause.BUSY, f"GitLab answered with an error: {message}")
        failed[index] = message
    holder = answer["data"].get("group") if root else answer["data"]
    if holder is None:
        raise Trouble(Cause.NOT_UNDERSTOOD, "GitLab shows no such group to this token")
    try:
        connection = holder["descendantGroups" if root else "groups"]
        info = connection["pageInfo"]
        cursor = str(info["endCursor"]) if info["hasNextPage"] else None
        return _Listed(list(connection["nodes"]), failed, cursor)
    except (KeyError, TypeError):
        raise Trouble(Cause.BUSY, "a page of groups is not whole") from None


def _member(node: Any, group_id: int) -> dict[str, Json] | None:
    """One member; None for somebody invited by e-mail, who is no user yet. Raises KeyError."""
    user = node["user"]
    if user is None:
        return None
    source = str(node["group"]["id"]).rpartition("/")[2] if node.get("group") else str(group_id)
    return {
        "username": str(user["username"]),
        "name": str(user["name"] or user["username"]),
        "email": user.get("publicEmail") or None,
        "state": str(user["state"]),
        "bot": bool(user["bot"]),
        "role": int(node["accessLevel"]["integerValue"] or 0),
        "direct": source == str(group_id),
    }


def _record(
    node: Mapping[str, Any], group_id: int, path: str, members: Sequence[dict[str, Json]]
) -> ProjectRead:
    parent = node.get("parent")
    group = {
        "id": group_id,
        "path": path,
        "name": str(node.get("name") or path.rpartition("/")[2]),
        "description": str(node.get("description") or "").strip() or None,
        "url": str(node.get("webUrl") or "") or None,
        "parent": str(parent["fullPath"]) if isinstance(parent, dict) else None,
    }
    files = tuple(
        _file(number, {"group": group, "first": number == 1, "members": part})
        for number, part in enumerate(_parts(members), 1)
    )
    return ProjectRead(Project(-group_id, path, str(group["url"] or "")), files)


def _parts(members: Sequence[dict[str, Json]]) -> Iterator[Sequence[dict[str, Json]]]:
    for at in range(0, max(1, len(members)), _OF_ONE_FILE):
        yield members[at : at + _OF_ONE_FILE]


def _file(number: int, data: Mapping[str, Json]) -> ManifestFile:
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False)
    oid = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=20).hexdigest()
    path = GROUP_FILE if number == 1 else f"{number}/{GROUP_FILE}"
    return ManifestFile(path, oid, len(text.encode("utf-8", "replace")), text)
