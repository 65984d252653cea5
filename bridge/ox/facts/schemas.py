"""The facts that Fester collects itself, as tech-insights fact retrievers.

`snyk`, `pagerduty`, `opsgenie` and `jsm` describe theirs beside their clients. What the default
rubric rests on:

| check | facts |
|---|---|
| owner is a known team | `manifest.owner_known` |
| channel, tier, lifecycle | `manifest.channel_given`, `.tier_valid`, `.lifecycle_valid` |
| CODEOWNERS, README, CI configuration | `gitlab.codeowners`, `.readme`, `.ci_config` |
| runbook exists and is not empty | `gitlab_rest.runbook_present` (false when none is linked) |
| default branch green | `gitlab.default_branch_green` |
| protected, no force push | `gitlab_rest.default_branch_protected`, `.force_push_allowed` |
| approvals | `gitlab_rest.approvals_required` |
| released lately | `gitlab.days_without_release` |
| scanner, criticals, updater | `snyk.registered`, `snyk.critical_older_than_30_days`, \
`gitlab.dependency_updater` |
| on-call, SLO, system | `pagerduty.on_call_named`, `manifest.slo_linked`, `.system_given` |
| dashboard, alerts, logs | `manifest.dashboard_linked`, `.alerts_linked`, `.logs_linked` |
"""

from __future__ import annotations

from typing import Final

from bridge.model.facts import FactDefinition, FactSchema, FactType

DAY: Final = 86_400.0
_COMPONENTS: Final = {"kind": "component"}


def _facts(rows: str) -> tuple[FactDefinition, ...]:
    """Definitions from lines of `name type what it means`."""
    split = (line.split(maxsplit=2) for line in rows.strip().splitlines())
    return tuple(FactDefinition(name, FactType(kind), text) for name, kind, text in split)


MANIFEST: Final = FactSchema(
    id="manifest",
    version="1.0.0",
    title="What the manifest says",
    description="How complete a service's own description is; read from the catalog.",
    cadence=DAY,
    entity_filter=_COMPONENTS,
    with_crawl=True,
    facts=_facts("""
        owner_given boolean An owner is named
        owner_known boolean The owner is a Group or User that is in the catalog
        channel_given boolean A channel is named where the owner is reached
        tier integer The tier, 1 (most critical) to 4
        tier_valid boolean A tier from 1 to 4 is given
        lifecycle string The lifecycle as it is given
        lifecycle_valid boolean A lifecycle is given, and one that is known
        system_given boolean It is part of a system
        system_known boolean That system is in the catalog
        description_length integer Characters of the description
        tags set Its tags
        links integer How many links it has
        links_by_kind object How many links of each kind: runbook, dashboard, alerts, logs, slo, \
on_call, docs, repository, other
        runbook_linked boolean A runbook is linked
        dashboard_linked boolean A dashboard is linked
        alerts_linked boolean Its alerts are linked
        logs_linked boolean Its logs are linked
        slo_linked boolean Its service level objectives are linked
        on_call_linked boolean The rota or incident page is linked
        docs_linked boolean Documentation is linked
        dependencies integer How many entities it depends on
        dependencies_unknown integer How many of those are not in the catalog
        provides_apis integer How many APIs it provides
        consumes_apis integer How many APIs it consumes
        completeness float The share (0 to 1) of owner, channel, tier, lifecycle, system, \
description, tags, runbook, dashboard and docs that is there
    """),
)

CATALOG: Final = FactSchema(
    id="catalog",
    version="1.0.0",
    title="What the catalog says",
    description="How whole systems, domains, APIs and groups are; read from the catalog.",
    cadence=DAY,
    entity_filter={"kind": ["system", "domain", "api", "group"]},
    with_crawl=True,
    facts=_facts("""
        owner_known boolean The owner is a Group or User that is in the catalog
        description_length integer Characters of the description
        definition_given boolean The API has a definition
        type_given boolean A type is given, and not `unspecified`
        providers integer How many components provide the API
        consumers integer How many components consume the API
        parts integer How many entities belong to the system, or systems and domains to the domain
        members integer How many people and groups belong to the group
        owned integer How many entities the group owns
        channel_given boolean A channel is named where the group is reached
    """),
)

GITLAB: Final = FactSchema(
    id="gitlab",
    version="1.1.0",
    title="What GitLab's project page says",
    description="Read on the crawl's own requests, so it costs none.",
    cadence=DAY,
    entity_filter=_COMPONENTS,
    with_crawl=True,
    facts=_facts("""
        readme boolean There is a README at the root
        license boolean There is a licence file at the root
        codeowners boolean There is a CODEOWNERS file in one of the three places GitLab looks
        ci_config boolean There is a .gitlab-ci.yml at the root
        dependency_updater boolean Renovate or Dependabot is configured
        default_branch string The name of the default branch
        pipeline_status string The status of the default branch's latest pipeline, in lower case
        default_branch_green boolean That pipeline has passed
        open_merge_requests integer Open merge requests
        open_issues integer Open issues
        last_release string The tag of the latest release
        last_release_at datetime When that was released
        days_without_release integer Whole days since the latest release; since the project was \
created, when there was none
        languages set Its languages, as GitLab detects them
        main_language string The language with the largest share
        last_activity_at datetime When something last happened in the project
        days_without_activity integer Whole days since then
        merge_needs_pipeline boolean Merging needs a pipeline that passed
        archived boolean The project is archived
        empty boolean The repository is empty
        visibility string private, internal or public
        topics set The project's topics
        catalog_info boolean There is a catalog-info.yaml at the root, which Backstage's own \
discovery reads
    """),
)

GITLAB_REST: Final = FactSchema(
    id="gitlab_rest",
    version="1.3.0",
    title="How the project guards its default branch, and what rides along",
    description="Read by GraphQL, fifty projects a request; by REST where the token may not.",
    cadence=DAY,
    entity_filter=_COMPONENTS,
    batch=500,
    facts=_facts("""
        default_branch_protected boolean A protected branch, or a pattern of them, covers the \
default branch
        force_push_allowed boolean Somebody may force-push to the default branch
        code_owner_approval_required boolean Code owners must approve what goes to the default \
branch
        approvals_required integer How many approvals a merge request to the default branch needs
        runbook_present boolean A runbook is linked, and if it is a file of this project, it is \
there and not empty
        runbooks_missing set Linked runbooks that are files of this project and missing or empty
        discussions_must_be_resolved boolean Merging needs all discussions to be resolved
        source_branch_removed boolean Merging removes the source branch by default
        ci_catalog_resource boolean The project offers components in the CI/CD catalog
        container_repositories integer Repositories of container images
        long_open_merge_requests integer Merge requests open for more than 30 days
        stale_merge_requests integer Open merge requests that nobody touched for 14 days
        open_incidents integer Open incidents
        repository_size integer The repository's size in bytes
        commits integer Commits on the default branch
        unsigned_commits_rejected boolean A push rule refuses unsigned commits (Premium)
        secrets_rejected boolean A push rule refuses files that look like secrets (Premium)
        critical_vulnerabilities integer Open critical vulnerabilities that GitLab found (Ultimate)
        high_vulnerabilities integer Open vulnerabilities of high severity (Ultimate)
        deployments_per_day float Deployments to production a day, over three months (Ultimate)
        lead_time float Median seconds from merge to production, over three months (Ultimate)
        dependency_updates_open integer Open merge requests of Renovate or Dependabot
        days_of_oldest_dependency_update integer Whole days that the oldest of those waits
        readme_length integer Characters of README.md
        readme_sections integer Its headings
        readme_links integer Its different links
        readme_says_how_to_run boolean A heading is about how to install, run or use it
        readme_says_who_owns boolean A heading is about who owns it or whom to ask
        readme_quality float The share (0 to 1) of five measures that hold: 300 characters, three \
headings, how to run it, who owns it, a link
        codeowners_rules integer Rules of the CODEOWNERS file
        codeowners_default_owner boolean It names an owner of what no other rule is about
        codeowners_named set Whom it names as owners, at most 200
        codeowners_without_owner integer Its rules that name nobody
        codeowners_unknown set The groups and people among them whom the catalog does not know
        docs_changed_at datetime When a commit last changed something in docs/
        days_without_docs_change integer Whole days since then
    """),
)

OURS: Final = (MANIFEST, CATALOG, GITLAB, GITLAB_REST)
