"""Worlds to look at and worlds to measure with: a sample company, and any size of a made-up one."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from bridge.sandbox import company, crews
from bridge.sandbox.company import SERVICES, SampleService
from bridge.sandbox.project import (
    ApprovalRule,
    ProjectFacts,
    ProtectedBranch,
    Release,
    SandboxFile,
    SandboxProject,
    lfs_file,
    submodule,
)
from bridge.sandbox.world import CI_CONFIG, Clock, World

STATUSES = ("success", "success", "success", "failed", "running", None)
TYPES = ("service", "website", "library", "job")
LIFECYCLES = ("production", "production", "experimental", "deprecated")
LANGUAGES = ("go", "java", "kotlin", "python", "rust", "typescript")
TEAM_SIZE = 25
SYSTEM_SIZE = 8
WITHOUT_MANIFEST = 0.15
DEFINED = 10  # of so many generated services one has a definition of its API
# Plenty of files repeat word for word between repositories; git and GitLab know them by one oid.
README = SandboxFile(b"# Read me\n\nBuild, test, sail.\n")
PIPELINE = SandboxFile(b"include: [{project: platform/pipelines, file: /service.yml}]\n")
OWNERS = SandboxFile(b"* @owners\n")
LICENSE = SandboxFile(b"Proprietary.\n")


def sample_organization(clock: Clock) -> World:
    """About fifty projects of Kestrel Ferries: mostly healthy, with each trouble once."""
    world = World(clock)
    world.add_group("kestrel", "Kestrel Ferries")
    born = clock() - timedelta(days=900)
    for number, service in enumerate(SERVICES, start=1):
        world.add_project(
            service.path,
            description=service.description,
            topics=(service.product, service.language),
            files=_service_files(number, service),
            facts=_facts(number, service.language, clock()),
            created_at=born + timedelta(days=7 * number),
        )
    _other_formats(world)
    _together(world)
    _troubles(world)
    _oddities(world)
    crews.man(world)
    return world


def generate(projects: int, seed: int, clock: Clock) -> World:
    """A made-up organization of this many projects; the same seed gives the same world."""
    dice = random.Random(seed)  # noqa: S311 — repeatable on purpose
    world = World(clock)
    now = clock()
    born = now - timedelta(days=1500)
    for number in range(1, projects + 1):
        system = (number - 1) // SYSTEM_SIZE
        world.add_project(
            f"corp/product-{system // SYSTEM_SIZE}/system-{system}/service-{number}",
            topics=("generated",),
            files=_generated_files(number, dice),
            facts=_generated_facts(dice, now),
            archived=dice.random() < 0.03,
            created_at=born + timedelta(minutes=number),
        )
    return world


def _service_files(number: int, service: SampleService) -> dict[str, SandboxFile | str]:
    files: dict[str, SandboxFile | str] = {
        "qm.yaml": _manifest(service),
        "README.md": f"# {service.name}\n\n{service.description}.\n",
        ".gitlab-ci.yml": PIPELINE,
    }
    if number % 4:
        files["CODEOWNERS"] = f"* @{service.team}\n"
    if number % 3:
        files["LICENSE"] = LICENSE
    files |= {_definition_of(name): _openapi(name) for name in service.provides}
    if service.tier == 1:
        files["docs/runbook.md"] = f"# When {service.name} is down\n\nStay calm.\n"
    return files


def _manifest(service: SampleService) -> str:
    name, team = service.name, service.team
    lines = [
        "version: 1",
        "service:",
        f"  name: {name}",
        f"  lifecycle: {service.lifecycle}",
        f"  type: {service.type}",
        f"  tier: tier_{service.tier}",
        *([] if name in company.INHERITING else [f"  product: {service.product}"]),
        "  owner:",
        f"    team: {team}",
        f'    channel: "#{team}"',
        f"    url: https://kestrel.slack.example/archives/{team}",
        f"  language: {service.language}",
        f'  description: "{service.description}"',
        f"  system: {service.system}",
        f"  tags: [{service.product}, {service.language}]",
        "  tools:",
        "    - name: Dashboard",
        "      category: metrics",
        f"      url: https://grafana.kestrel.example/d/{name}",
    ]
    if service.tier == 1:
        lines += _for_incidents(name, team)
    if service.needs:
        lines.append(f"  dependencies: [{_listed(service.needs)}]")
    return "\n".join([*lines, *_apis(service)]) + "\n"


def _for_incidents(name: str, team: str) -> list[str]:
    """What a service says that somebody is woken up for; `tools:` is the list before it."""
    return [
        "    - name: On call",
        "      category: incidents",
        f"      url: https://oncall.kestrel.example/{team}",
        "  docs:",
        "    - kind: runbook",
        f"      title: When {name} is down",
        "      path: docs/runbook.md",
    ]


def _apis(service: SampleService) -> list[str]:
    if not (service.provides or service.consumes):
        return []
    provided = [
        f'      - {{name: "{name}", type: openapi, definition: {_definition_of(name)}}}'
        for name in service.provides
    ]
    consumed = [f"    consumes: [{_listed(service.consumes)}]"] if service.consumes else []
    return ["  apis:", *(["    provides:"] if provided else []), *provided, *consumed]


def _definition_of(api: str) -> str:
    return f"api/{api.lower().replace(' ', '-')}.yaml"


def _openapi(api: str) -> str:
    return (
        "openapi: 3.1.0\n"
        f"info: {{title: {api}, version: '1.0'}}\n"
        "paths:\n  /tides:\n    get:\n      responses:\n        '200': {description: The water}\n"
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' if ":" in name else name for name in names)


def _facts(number: int, language: str, now: datetime) -> ProjectFacts:
    releases = tuple(
        Release(f"v1.{minor}.0", now - timedelta(days=number * 3 + 30 * (5 - minor)))
        for minor in range(5)
    )
    return ProjectFacts(
        pipeline_status=STATUSES[number % len(STATUSES)],
        languages={language.title(): 92.5, "Shell": 7.5},
        releases=releases if number % 5 else (),
        open_issues=(number * 7) % 23,
        open_merge_requests=(number * 5) % 9,
        forks=number % 2,
        only_merge_if_pipeline_succeeds=number % 3 == 0,
        protected_branches=(
            ProtectedBranch("main", allow_force_push=number % 11 == 0),
            ProtectedBranch("release/*", code_owner_approval_required=True),
        )
        if number % 6
        else (),
        approval_rules=(ApprovalRule("Everybody", 1 + number % 2),) if number % 7 else (),
        # Somebody always has a token of too low a role, no issues, or too many languages.
        settings_hidden=number % 13 == 0,
        issues=number % 9 != 0,
        slow=frozenset({"languages"}) if number % 17 == 0 else frozenset(),
    )


def _other_formats(world: World) -> None:
    for path, text in company.DATADOG.items():
        world.add_project(path, files={"service.datadog.yaml": text, "README.md": README})
    for path, text in company.CATALOG_INFO.items():
        world.add_project(path, files={"catalog-info.yaml": text, "README.md": README})
    for path, text in company.OPSLEVEL.items():
        world.add_project(path, files={"opslevel.yml": text, "README.md": README})


def _together(world: World) -> None:
    documents = ("docs/runbook.md", "docs/new-service.md", "docs/storm.md")
    for path, text in company.TOGETHER.items():
        files: dict[str, SandboxFile | str] = {"qm.yaml": text, "README.md": README}
        files |= {name: "# Read this\n" for name in documents if name in text}
        files |= company.BESIDE.get(path, {})
        world.add_project(path, files=files)


def _troubles(world: World) -> None:
    for path, text in {**company.BROKEN, **company.CONFLICTS}.items():
        beside = company.BESIDE.get(path, {})
        world.add_project(path, files={"qm.yaml": text, "README.md": README, **beside})
    quay: dict[str, str | SandboxFile] = {"qm.yaml": company.IBM_MQ, "README.md": README}
    world.add_project("kestrel/attic/quay-mq", description="Queues by the quay", files=quay)
    old = company.BROKEN["kestrel/passenger/app/seat-picker"].replace("lifecyle", "lifecycle")
    old = old.replace("seat-picker", "paper-tickets")
    world.add_project("kestrel/attic/paper-tickets", files={"qm.yaml": old}, archived=True)
    world.add_project("kestrel/attic/someday", repository="empty")
    world.add_project("kestrel/platform/vault/crown-jewels", repository="forbidden")
    notes: dict[str, SandboxFile | str] = {
        "README.md": README,
        "qm.defaults.yaml": company.DEFAULTS,
    }
    notes["handbook.pdf"] = lfs_file(b"%PDF-1.7 all about ropes")
    world.add_project(company.KEEPER, files=notes)
    world.add_project("kestrel/crew/dotfiles", files={"README.md": README}, fork=True)


def _oddities(world: World) -> None:
    """Where GitLab is not what it seems; nothing of it may change what the others give."""
    first, second, third, fourth, *_ = SERVICES
    dead = world.add_project("kestrel/attic/first-draft", files={"qm.yaml": _manifest(first)})
    world.schedule_deletion(dead.id)
    world.add_project("kestrel/retired/foghorn", files={"qm.yaml": _manifest(second)})
    world.archive_group("kestrel/retired")
    world.add_project("kestrel/crew/suggestions", repository="disabled")
    stowage: dict[str, str | SandboxFile] = {
        "qm.yaml/defaults.yaml": "replicas: 2\n",
        "README.md": submodule("5d1f3c0b8a9e4d7c6b2a1f0e9d8c7b6a5f4e3d2c"),
        "readme.md": "# Stowage\n",
    }
    world.add_project("kestrel/platform/stowage", files=stowage)
    latin = "version: 1\nservice: {name: fähre, owner: {team: crew}}\n".encode("latin-1")
    world.add_project("kestrel/attic/faehre", files={"qm.yaml": latin, "README.md": README})
    # A tag of the branch's name, from before the service had an owner.
    unowned = SandboxFile(b"version: 1\nservice: {name: old}\n")
    _project_of(world, second).tags["main"] = {"qm.yaml": unowned}
    _spell_otherwise(_project_of(world, third), "README.md", "readme.rst")
    _spell_otherwise(_project_of(world, fourth), CI_CONFIG, "ci/pipeline.yml")
    facts = _project_of(world, fourth).facts
    facts.ci_config_path = "ci/pipeline.yml"
    to_come = Release("v2.0.0", world.clock() + timedelta(days=14))
    facts.releases = (to_come, *facts.releases)


def _project_of(world: World, service: SampleService) -> SandboxProject:
    project = world.find(service.path)
    assert project is not None
    return project


def _spell_otherwise(project: SandboxProject, old: str, new: str) -> None:
    project.files[new] = project.files.pop(old)


def _generated_files(number: int, dice: random.Random) -> dict[str, SandboxFile | str]:
    files: dict[str, SandboxFile | str] = {"README.md": README}
    if dice.random() < 0.8:
        files[".gitlab-ci.yml"] = PIPELINE
    if dice.random() < 0.6:
        files["CODEOWNERS"] = OWNERS
    if dice.random() < 0.5:
        files["LICENSE"] = LICENSE
    if dice.random() >= WITHOUT_MANIFEST:
        files["qm.yaml"] = _generated_manifest(number, dice)
    if not number % DEFINED:
        files["openapi.yaml"] = _openapi(f"api-{number}")
    return files


def _generated_manifest(number: int, dice: random.Random) -> str:
    system = (number - 1) // SYSTEM_SIZE
    team = system * SYSTEM_SIZE // TEAM_SIZE
    # A system has one product and one team here: contradictions are the sample's business.
    needed = sorted({dice.randint(1, number) for _ in range(dice.randint(0, 3))} - {number})
    needs = ", ".join(f"service-{other}" for other in needed)
    defined = f"{{name: api-{number}, type: openapi, definition: openapi.yaml}}"
    provided = f"api-{number}" if number % DEFINED else defined
    return f"""\
version: 1
service:
  name: service-{number}
  lifecycle: {dice.choice(LIFECYCLES)}
  type: {dice.choice(TYPES)}
  tier: tier_{dice.randint(1, 4)}
  product: product-{system // SYSTEM_SIZE}
  owner:
    team: team-{team}
    channel: "#team-{team}"
  language: {dice.choice(LANGUAGES)}
  description: Does what service {number} has to do
  system: system-{system}
  tags: [generated, batch-{number % 10}]
  tools:
    - {{name: Dashboard, category: metrics, url: "https://grafana.example/d/{number}"}}
  dependencies: [{needs}]
  apis:
    provides: [{provided}]
"""


def _generated_facts(dice: random.Random, now: datetime) -> ProjectFacts:
    language = dice.choice(LANGUAGES).title()
    released = Release("v1.0.0", now - timedelta(days=dice.randint(1, 400)))
    return ProjectFacts(
        pipeline_status=dice.choice(STATUSES),
        languages={language: 100.0},
        releases=(released,) if dice.random() < 0.7 else (),
        open_issues=dice.randint(0, 40),
        open_merge_requests=dice.randint(0, 12),
        only_merge_if_pipeline_succeeds=dice.random() < 0.5,
        protected_branches=(ProtectedBranch("main"),),
    )
