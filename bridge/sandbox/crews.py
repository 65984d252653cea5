"""The crews of Kestrel Ferries: groups of people, with everything that GitLab's members can be."""

from __future__ import annotations

from typing import Final

from bridge.sandbox.world import World

GUEST, REPORTER, DEVELOPER, MAINTAINER, OWNER = 10, 20, 30, 40, 50
# Each crew as manifests name it, with its members; the first one leads it.
CREWS: Final = {
    "crows-nest": ("ada", "boris", "chidi"),
    "gangway": ("dora", "emil"),
    "grease-monkeys": ("farah", "goran", "hilde"),
    "harbour-lights": ("ines",),
    "lighthouse": ("jonas", "kaya", "lotte"),
    "purse-strings": ("mirza", "nadia"),
    "shipwrights": ("olaf", "petra", "quentin", "rosa"),
    "tide-tables": ("samir", "tove"),
}


def man(world: World) -> None:
    """Give the company its crews, each a group of its own beside that of the projects."""
    people = world.members
    for crew, names in CREWS.items():
        title = crew.replace("-", " ").title()
        world.add_group(crew, title)
        for number, name in enumerate(names):
            # Who is redacted has made no address public.
            email = f"{name}@kestrel.example" if number % 2 == 0 else ""
            people.user(name, f"{name.title()} of {title}", email=email)
            people.add(crew, name, DEVELOPER if number else MAINTAINER)
    people.user("captain", "Captain Kestrel", email="captain@kestrel.example")
    people.add("kestrel", "captain", OWNER)
    people.user("group_8_bot_3f", "Deploys", bot=True)
    people.add("shipwrights", "group_8_bot_3f", MAINTAINER)
    people.user("walter", "Walter Plank", state="blocked")
    people.add("gangway", "walter")
    people.user("visitor", "Vera Visitor")
    people.add("lighthouse", "visitor", GUEST)
    people.add("tide-tables", None)  # an invitation that nobody has accepted
    people.invite_group("harbour-lights", "gangway")
