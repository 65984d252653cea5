"""Issues and merge requests of the sandbox, and the people who work with them.

What GitLab does to a text is done here too: quick actions in a description are carried out, and
`@name` tells somebody. A client that lets a stranger's text through is found out by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

Clock = Callable[[], datetime]
State = Literal["opened", "closed", "merged"]

TITLE_LIMIT = 255
TEXT_LIMIT = 1_048_576
QUICK_ACTION = re.compile(r"^/(\w+)[ \t]*(.*)$", re.MULTILINE)
MENTION = re.compile(r"(?<![\w/`])@([\w][\w./-]*)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SandboxUser:
    """Somebody who can sign in; `bot` is a token's user."""

    id: int
    username: str
    name: str
    bot: bool = False


BOT = SandboxUser(1, "catalog-crawler", "Catalog crawler", bot=True)
SOMEBODY = SandboxUser(2, "robin", "Robin Mate")
GHOST = SandboxUser(3, "ghost", "Ghost User")


@dataclass(slots=True)
class Note:
    """A comment, or a system's remark on what somebody did."""

    id: int
    body: str
    author: SandboxUser
    created_at: datetime
    system: bool = False


@dataclass(slots=True)
class Thing:
    """An issue or a merge request; GitLab gives both the same life."""

    id: int
    iid: int
    project_id: int
    title: str
    author: SandboxUser
    created_at: datetime
    updated_at: datetime
    description: str = ""
    state: State = "opened"
    labels: list[str] = field(default_factory=list)
    assignees: list[SandboxUser] = field(default_factory=list)
    confidential: bool = False
    due_date: date | None = None
    closed_at: datetime | None = None
    closed_by: SandboxUser | None = None
    notes: list[Note] = field(default_factory=list)
    source_branch: str = ""
    target_branch: str = ""


@dataclass(frozen=True)
class Labelled:
    """A label that somebody put on something, or took off."""

    thing: Thing
    label: str
    added: bool
    by: SandboxUser
    at: datetime


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that somebody did: created, closed, reopened, merged, edited, labelled, commented.

    `text` is the description right after it.
    """

    what: str
    at: datetime
    by: SandboxUser
    thing: Thing
    text: str


class Accounts:
    """Who can sign in, and who is a member of which project."""

    def __init__(self) -> None:
        self.users: dict[str, SandboxUser] = {
            user.username: user for user in (BOT, SOMEBODY, GHOST)
        }
        self._last = len(self.users)
        self._members: dict[int, list[SandboxUser]] = {}

    def remove(self, user: SandboxUser, *trackers: Tracker) -> None:
        """Delete somebody, as revoking a token does with its bot: a ghost has done it all."""
        del self.users[user.username]
        for thing in (thing for tracker in trackers for thing in tracker):
            thing.author = GHOST if thing.author == user else thing.author
            thing.closed_by = GHOST if thing.closed_by == user else thing.closed_by

    def add(self, username: str, name: str, *projects: int) -> SandboxUser:
        """A person, and the projects where they are a member."""
        self._last += username not in self.users
        user = self.users.setdefault(username, SandboxUser(self._last, username, name))
        for number in projects:
            self._members.setdefault(number, []).append(user)
        return user

    def members_of(self, project_id: int) -> list[SandboxUser]:
        """Who may be assigned in a project."""
        return self._members.get(project_id, [])


class Unacceptable(ValueError):
    """GitLab answers 400 with this tree as its message."""

    def __init__(self, message: object) -> None:
        self.message = message
        super().__init__(str(message))


class Tracker:
    """All issues, or all merge requests, of a world; and who did what to them."""

    def __init__(self, clock: Clock, first_id: int) -> None:
        self.clock = clock
        self.events: list[Happened] = []
        self.told: list[tuple[str, Thing]] = []  # who was mentioned where
        self.labelled: list[Labelled] = []
        self._first_id = first_id
        self._ids = first_id
        self._notes = 0
        self._things: dict[int, dict[int, Thing]] = {}
        self._last: dict[int, int] = {}

    def __iter__(self) -> Iterator[Thing]:
        return (thing for things in self._things.values() for thing in things.values())

    def of(self, project_id: int) -> list[Thing]:
        """Everything of one project, oldest first."""
        return list(self._things.get(project_id, {}).values())

    def furnish(self, project_id: int, count: int) -> None:
        """Give a project that has nothing yet so many open ones of somebody's."""
        if project_id not in self._things:
            for number in range(1, count + 1):
                self.create(project_id, f"Something else, number {number}")

    def find(self, project_id: int, iid: int) -> Thing | None:
        """One of a project, by its number there."""
        return self._things.get(project_id, {}).get(iid)

    def create(
        self,
        project_id: int,
        title: str,
        by: SandboxUser = SOMEBODY,
        *,
        description: str = "",
        labels: Sequence[str] = (),
        assignees: Sequence[SandboxUser] = (),
        confidential: bool = False,
        source_branch: str = "",
        target_branch: str = "",
    ) -> Thing:
        """A new one. Raises `Unacceptable` for a title or text that GitLab refuses."""
        _check(title, description)
        self._ids += 1
        iid = self._last.get(project_id, 0) + 1
        self._last[project_id] = iid
        now = self.clock()
        thing = Thing(self._ids, iid, project_id, title, by, now, now, source_branch=source_branch)
        thing.confidential, thing.target_branch = confidential, target_branch
        thing.labels = _scoped([], labels)
        # Without a licence an issue has one assignee; the others are dropped without a word.
        thing.assignees = list(assignees)[:1]
        self._things.setdefault(project_id, {})[iid] = thing
        thing.description = self._interpreted(description, by, thing)
        self._happened("created", by, thing)
        return thing

    def close(self, project_id: int, iid: int, by: SandboxUser = SOMEBODY) -> None:
        """Close it; nothing happens to one that is closed."""
        self._move(self._known(project_id, iid), "closed", by)

    def reopen(self, project_id: int, iid: int, by: SandboxUser = SOMEBODY) -> None:
        """Open it again; nothing happens to one that is open."""
        self._move(self._known(project_id, iid), "opened", by)

    def edit(
        self,
        project_id: int,
        iid: int,
        by: SandboxUser = SOMEBODY,
        *,
        title: str | None = None,
        description: str | None = None,
        due_date: date | None = None,
    ) -> None:
        """Change texts or the date. Raises `Unacceptable` for what GitLab refuses."""
        thing = self._known(project_id, iid)
        _check(thing.title if title is None else title, description or "")
        thing.title = thing.title if title is None else title
        thing.due_date = due_date or thing.due_date
        if description is not None:
            thing.description = self._interpreted(description, by, thing)
        self._happened("edited", by, thing)

    def label(self, project_id: int, iid: int, *labels: str, by: SandboxUser = SOMEBODY) -> None:
        """Add labels; of a scope (`scope::value`) the newest stays."""
        thing = self._known(project_id, iid)
        thing.labels = _scoped(thing.labels, labels)
        self.labelled += [Labelled(thing, label, True, by, self.clock()) for label in labels]
        self._happened("labelled", by, thing)

    def unlabel(self, project_id: int, iid: int, *labels: str, by: SandboxUser = SOMEBODY) -> None:
        """Take labels off."""
        thing = self._known(project_id, iid)
        gone = [label for label in thing.labels if label in labels]
        thing.labels = [label for label in thing.labels if label not in labels]
        self.labelled += [Labelled(thing, label, False, by, self.clock()) for label in gone]
        self._happened("labelled", by, thing)

    def comment(self, project_id: int, iid: int, body: str, by: SandboxUser = SOMEBODY) -> Note:
        """Say something under it."""
        thing = self._known(project_id, iid)
        self._happened("commented", by, thing)
        return self._note(thing, self._interpreted(body, by, thing), by)

    def delete(self, project_id: int, iid: int) -> None:
        """Remove it for good; its number is never given again."""
        self._known(project_id, iid)
        del self._things[project_id][iid]

    def mark_merged(self, project_id: int, iid: int, by: SandboxUser = SOMEBODY) -> None:
        """A merge request's good end; the code is the world's business."""
        self._move(self._known(project_id, iid), "merged", by)

    def _known(self, project_id: int, iid: int) -> Thing:
        thing = self.find(project_id, iid)
        if thing is None:
            raise LookupError(f"nothing numbered {iid} in project {project_id} of the sandbox")
        return thing

    def _move(self, thing: Thing, state: State, by: SandboxUser) -> None:
        if thing.state in (state, "merged"):
            return
        thing.state = state
        closed = state == "closed"
        thing.closed_at, thing.closed_by = (self.clock(), by) if closed else (None, None)
        what = {"opened": "reopened", "closed": "closed", "merged": "merged"}[state]
        self._note(thing, what, by, system=True)
        self._happened(what, by, thing)

    def _note(self, thing: Thing, body: str, by: SandboxUser, *, system: bool = False) -> Note:
        self._notes += 1
        note = Note(self._notes, body, by, self.clock(), system)
        thing.notes.append(note)
        return note

    def _happened(self, what: str, by: SandboxUser, thing: Thing) -> None:
        thing.updated_at = self.clock()
        self.events.append(Happened(what, thing.updated_at, by, thing, thing.description))

    def _interpreted(self, text: str, by: SandboxUser, thing: Thing) -> str:
        """The text without its quick actions, which are carried out; mentions tell people."""
        spoken = CODE.sub("", text)
        for found in QUICK_ACTION.finditer(spoken):
            self._obey(found[1], found[2], by, thing)
        self.told += [(found[1], thing) for found in MENTION.finditer(spoken)]
        kept = [line for line in text.split("\n") if not QUICK_ACTION.match(line)]
        return "\n".join(kept)

    def _obey(self, action: str, argument: str, by: SandboxUser, thing: Thing) -> None:
        match action:
            case "close":
                self._move(thing, "closed", by)
            case "reopen":
                self._move(thing, "opened", by)
            case "confidential":
                thing.confidential = True
            case "label":
                thing.labels = _scoped(thing.labels, re.findall(r"~(\S+)", argument))
            case "title":
                thing.title = argument or thing.title


def _check(title: str, description: str) -> None:
    problems: dict[str, list[str]] = {}
    if not title.strip():
        problems["title"] = ["can't be blank"]
    elif len(title) > TITLE_LIMIT:
        problems["title"] = [f"is too long (maximum is {TITLE_LIMIT} characters)"]
    if len(description) > TEXT_LIMIT:
        problems["description"] = [f"is too long (maximum is {TEXT_LIMIT} characters)"]
    if problems:
        raise Unacceptable(problems)


def _scoped(present: Sequence[str], added: Iterable[str]) -> list[str]:
    labels = list(present)
    for label in added:
        scope, colons, _ = label.rpartition("::")
        if colons:
            labels = [kept for kept in labels if kept.rpartition("::")[0] != scope]
        if label and label not in labels:
            labels.append(label)
    return labels
