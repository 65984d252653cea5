"""REST v4: how a project's branches are guarded, by the token's role and by the licence."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bridge.sandbox.guards import role_of
from bridge.sandbox.project import SandboxProject
from bridge.sandbox.rest import Rest, refusal
from bridge.sandbox.sessions import SESSION, Edition, Role


class GuardRoutes(Rest):
    """Protected branches and approval rules over the same world as everything else."""

    def routes(self) -> list[web.RouteDef]:
        """The routes of protected branches and approval rules."""
        project = "/api/v4/projects/{id}"
        return [
            web.get(f"{project}/protected_branches", self.protected_branches),
            web.get(f"{project}/approval_rules", self.approval_rules),
        ]

    async def protected_branches(self, request: web.Request) -> web.Response:
        """A project's protected branches; wildcards come back as patterns.

        Enterprise code always tells of code owners, false without a licence; other code never does.
        """
        project = self._settings_of(request)
        if isinstance(project, web.Response):
            return project
        edition = SESSION.get().edition
        rows = []
        for index, branch in enumerate(project.facts.protected_branches):
            row: dict[str, Any] = {
                "id": project.id * 10 + index,
                "name": branch.name,
                "allow_force_push": branch.allow_force_push,
                "push_access_levels": [{"access_level": 40}],
                "merge_access_levels": [{"access_level": 30}],
            }
            if edition.enterprise:
                asked = branch.code_owner_approval_required
                row["code_owner_approval_required"] = asked and edition >= Edition.PREMIUM
            rows.append(row)
        return self._offset(request, rows)

    async def approval_rules(self, request: web.Request) -> web.Response:
        """A project's approval rules. Without a licence 403, without the code for them 404."""
        edition = SESSION.get().edition
        if not edition.enterprise:
            return refusal(404, "404 Not Found", key="error")
        project = self._settings_of(request)
        if isinstance(project, web.Response):
            return project
        if edition < Edition.PREMIUM:
            return refusal(403, "403 Forbidden")
        rows = [
            {
                "id": project.id * 10 + index,
                "name": rule.name,
                "rule_type": rule.type.lower(),
                "approvals_required": rule.approvals,
                "applies_to_all_protected_branches": rule.all_protected,
                "protected_branches": [{"name": name} for name in rule.branches],
                "eligible_approvers": [],
            }
            for index, rule in enumerate(project.facts.approval_rules)
        ]
        return self._offset(request, rows)

    def _settings_of(self, request: web.Request) -> SandboxProject | web.Response:
        """The project whose settings are asked for, or why they are not shown."""
        project = self._project(request)
        if project is None:
            return refusal(404, "404 Project Not Found")
        if project.poisoned:
            return refusal(500, "500 Internal Server Error")
        if project.repository == "forbidden" or role_of(project) < Role.REPORTER:
            return refusal(403, "403 Forbidden")
        return project
