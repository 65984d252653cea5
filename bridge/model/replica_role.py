"""What a replica does among others on one store."""

from __future__ import annotations

from enum import StrEnum


class ReplicaRole(StrEnum):
    """Who makes the passes."""

    LEADER = "leader"  # this one
    FOLLOWER = "follower"  # another one: this one shows what that publishes
