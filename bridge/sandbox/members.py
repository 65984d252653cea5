"""Who is a member of which group: roles, bots, blocked users, invited groups, open invitations."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class MemberUser:
    """A user as a member list shows it; "" for an e-mail that is not public."""

    id: int
    username: str
    name: str
    email: str = ""
    state: str = "active"
    bot: bool = False


@dataclass(frozen=True)
class Membership:
    """One membership. Nobody (None) is who was invited by e-mail and has no account yet."""

    id: int
    group: str
    user: MemberUser | None
    role: int


@dataclass
class Members:
    """All memberships of groups; `hidden` are groups whose members are shown to nobody.

    `poisoned` are groups whose members break the server, so that every answer with them is a 500.
    """

    hidden: set[str] = field(default_factory=set)
    poisoned: set[str] = field(default_factory=set)
    _users: dict[str, MemberUser] = field(default_factory=dict)
    _direct: dict[str, list[Membership]] = field(default_factory=dict)
    _invited: dict[str, list[str]] = field(default_factory=dict)
    _last: int = 0

    def user(
        self,
        username: str,
        name: str = "",
        *,
        email: str = "",
        state: str = "active",
        bot: bool = False,
    ) -> MemberUser:
        """A user with this name, made anew or as it now is."""
        number = self._users[username].id if username in self._users else 1000 + len(self._users)
        made = MemberUser(number, username, name or username.title(), email, state, bot)
        self._users[username] = made
        return made

    def add(self, group: str, username: str | None, role: int = 30) -> None:
        """Make somebody a direct member; None invites an e-mail without an account."""
        self._last += 1
        if username is not None and username not in self._users:
            self.user(username)
        user = self._users[username] if username is not None else None
        self._direct.setdefault(group, []).append(Membership(self._last, group, user, role))

    def remove(self, group: str, username: str) -> None:
        """End a direct membership."""
        self._direct[group] = [
            each
            for each in self._direct.get(group, [])
            if each.user is None or each.user.username != username
        ]

    def invite_group(self, group: str, guest: str) -> None:
        """Share `group` with another one, whose direct members are then members of it, too."""
        self._invited.setdefault(group, []).append(guest)

    def moved(self, old: str, new: str) -> None:
        """A group has another path: its memberships and invitations go with it."""
        self._direct[new] = [replace(each, group=new) for each in self._direct.pop(old, [])]
        self._invited[new] = self._invited.pop(old, [])
        for guests in self._invited.values():
            guests[:] = [new if each == old else each for each in guests]
        if old in self.hidden:
            self.hidden = {*self.hidden - {old}, new}

    def of(self, group: str, relations: Collection[str]) -> list[Membership]:
        """The members by these relations; as in GitLab, each user once, by the highest role."""
        found = sorted(self._by(group, relations), key=lambda each: -each.role)
        once: dict[object, Membership] = {}
        for each in found:
            once.setdefault(each.user.username if each.user else each.id, each)
        return sorted(once.values(), key=lambda each: each.id)

    def _by(self, group: str, relations: Collection[str]) -> Iterator[Membership]:
        parts = group.split("/")
        if "DIRECT" in relations:
            yield from self._direct.get(group, [])
        if "INHERITED" in relations:
            for length in range(1, len(parts)):
                yield from self._direct.get("/".join(parts[:length]), [])
        if "SHARED_FROM_GROUPS" in relations:
            for guest in self._invited.get(group, []):
                yield from self._direct.get(guest, [])
        if "DESCENDANTS" in relations:
            for path, members in self._direct.items():
                if path.startswith(f"{group}/"):
                    yield from members
