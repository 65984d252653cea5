"""What is left to do of a catalog, from pass to pass."""

from __future__ import annotations

from enum import StrEnum


class Todo(StrEnum):
    """A stage in which items are noted until they are done.

    Beside the stages there are lanes, which are other texts: what a long pass finds waits there
    until that pass merges it.
    """

    MERGE = "merge"  # references of which something else is said
    GONE = "gone"  # entities of which nobody speaks any more
    DERIVE = "derive"  # references to what is made of those that need it
    CHECK = "check"  # entities whose references may lead elsewhere now
    RENDER = "render"  # places of entities whose files are to be made anew
