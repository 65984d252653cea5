"""The part of GitLab's GraphQL schema that tells of groups and their members."""

from __future__ import annotations

from typing import Final

SDL: Final = """
enum GroupMemberRelation { DESCENDANTS DIRECT INHERITED SHARED_FROM_GROUPS }
enum UserState { active banned blocked blocked_pending_approval deactivated ldap_blocked }

type AccessLevel { integerValue: Int }
type UserCore {
  bot: Boolean! id: ID! name: String! publicEmail: String state: UserState! username: String!
}
type GroupMember { accessLevel: AccessLevel group: Group id: ID! user: UserCore }
type GroupMemberConnection { nodes: [GroupMember] pageInfo: PageInfo! }
type GroupConnection { nodes: [Group] pageInfo: PageInfo! }

extend type Group {
  descendantGroups(
    after: String, before: String, first: Int, includeParentDescendants: Boolean = true, last: Int
  ): GroupConnection
  groupMembers(
    after: String, before: String, first: Int, last: Int,
    relations: [GroupMemberRelation!] = [DIRECT, INHERITED]
  ): GroupMemberConnection
  parent: Group
}
extend type Query {
  groups(after: String, before: String, first: Int, last: Int, search: String): GroupConnection
}
"""
RESOLVED: Final = frozenset({"Group.descendantGroups", "Group.groupMembers", "Query.groups"})
