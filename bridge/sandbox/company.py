"""Kestrel Ferries, the fictional company of the sample organization: its services, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final


@dataclass(frozen=True)
class SampleService:
    """One healthy service and where its project lives."""

    path: str
    type: str
    tier: int
    product: str
    system: str
    team: str
    language: str
    description: str
    needs: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    lifecycle: str = "production"

    @property
    def name(self) -> str:
        """The component's name: the last segment of the path."""
        return self.path.rpartition("/")[2]


def _service(row: str) -> SampleService:
    cells = [cell.strip() for cell in row.split("|")]
    path, kind, tier, product, system, team, language, description = cells[:8]
    needs, provides, consumes = (tuple(cell.split()) for cell in [*cells[8:], "", "", ""][:3])
    lifecycle = cells[11] if len(cells) > 11 else "production"
    return SampleService(
        f"kestrel/{path}",
        kind,
        int(tier),
        product,
        system,
        team,
        language,
        description,
        needs,
        provides,
        consumes,
        lifecycle,
    )


SERVICES: Final[tuple[SampleService, ...]] = tuple(
    _service(row)
    for row in files("bridge.sandbox").joinpath("kestrel.psv").read_text("utf-8").splitlines()
    if row and not row.startswith("#")
)

DATADOG: Final = {
    "kestrel/platform/observability/metrics-relay": """\
schema-version: v2.2
dd-service: metrics-relay
team: shipwrights
application: observability
description: Carries metrics from ship to shore
tier: "2"
lifecycle: production
languages: [go]
tags: ["env:production", "zone:shore"]
links:
  - {name: Runbook, type: runbook, url: "https://wiki.kestrel.example/metrics-relay"}
contacts:
  - {type: slack, contact: "https://kestrel.slack.example/archives/shipwrights"}
""",
    "kestrel/platform/observability/trace-lantern": """\
apiVersion: v3
kind: service
metadata:
  name: trace-lantern
  owner: shipwrights
  description: Follows a request through fog
spec:
  lifecycle: production
  tier: "3"
  languages: [rust]
  dependsOn: ["service:metrics-relay", "datastore:trace-store"]
  componentOf: ["system:observability"]
---
apiVersion: v3
kind: datastore
metadata: {name: trace-store, owner: shipwrights}
spec: {type: clickhouse, lifecycle: production}
""",
}

CATALOG_INFO: Final = {
    "kestrel/platform/foundation/ship-bell": """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: ship-bell
  description: Rings on every ship at once
  tags: [rust]
spec:
  type: service
  lifecycle: production
  owner: shipwrights
  system: foundation
  providesApis: [bell-ropes]
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata:
  name: bell-ropes
  description: Who may ring, and how often
spec:
  type: openapi
  lifecycle: production
  owner: shipwrights
  system: foundation
  definition: |
    openapi: 3.1.0
    info: {title: Bell ropes, version: 1.0.0}
    paths: {/ring: {post: {responses: {'204': {description: It rang}}}}}
""",
}

OPSLEVEL: Final = {
    "kestrel/harbour/terminals/parking-sensors": """\
version: 1
service:
  name: Parking Sensors
  description: Counts the free spaces before the ferry
  owner: gangway
  lifecycle: generally_available
  tier: tier_3
  product: harbour
  system: terminals
  language: C
  framework: Zephyr
  aliases: [parking-sensors]
  tags: [{key: env, value: shore}]
  tools: [{name: Dashboards, category: metrics, url: "https://grafana.kestrel.example/d/parking"}]
  dependencies: [{alias: lane-marshal}]
""",
    "kestrel/booking/fares/season-tickets": """\
version: 1
repository:
  owner: tide-tables
  tier: tier_3
  language: Ruby
""",
}

# Each breaks in a way seen in real repositories.
BROKEN: Final = {
    # A key with a typo.
    "kestrel/passenger/app/seat-picker": """\
version: 1
service:
  name: seat-picker
  lifecyle: production
  type: service
  tier: tier_3
  product: passenger
  system: app
  owner: {team: lighthouse, channel: "#lighthouse"}
""",
    # Nobody owns it.
    "kestrel/booking/fares/currency-rates": """\
version: 1
service:
  name: currency-rates
  lifecycle: production
  type: service
  tier: tier_2
  product: booking
  system: fares
  description: Exchange rates, twice a day
""",
    # Not YAML at all from line 5 on.
    "kestrel/fleet/tracking/radar-replay": """\
version: 1
service:
  name: radar-replay
  type: service
  owner: {team: crows-nest, channel: "#crows-nest
  lifecycle: production
   tier: tier_4
""",
    # Two lifecycles; the last one would win without a word.
    "kestrel/platform/foundation/secret-locker": """\
version: 1
service:
  name: secret-locker
  lifecycle: experimental
  lifecycle: production
  type: service
  tier: tier_1
  product: platform
  system: foundation
  owner: {team: shipwrights, channel: "#shipwrights"}
""",
}

# Claims that contradict the healthy services, a dependency on what does not exist, and a slip of
# the pen in an owner's name.
CONFLICTS: Final = {
    # The same component name as booking/checkout/booking-api.
    "kestrel/attic/booking-api-v2": """\
version: 1
service:
  name: booking-api
  lifecycle: experimental
  type: service
  tier: tier_3
  product: booking
  system: checkout
  owner: {team: purse-strings, channel: "#purse-strings"}
  description: The rewrite that never sailed
""",
    # Puts the system `tracking` into another product, under another team.
    "kestrel/passenger/app/whale-watch": """\
version: 1
service:
  name: whale-watch
  lifecycle: experimental
  type: service
  tier: tier_4
  product: passenger
  system: tracking
  owner: {team: lighthuose, channel: "#lighthouse"}
  description: Tells passengers on which side to look
  dependencies: [vessel-tracker, whale-oracle]
""",
}

# What lies in a repository of several services: definitions, and a service in a folder of its own.
BESIDE: Final[Mapping[str, Mapping[str, str]]] = {
    # Whom `fester explain` may suggest, for the manifest names nobody.
    "kestrel/booking/fares/currency-rates": {"CODEOWNERS": "* @tide-tables\n"},
    "kestrel/passenger/onboard/galley": {
        "api/galley.yaml": "openapi: 3.1.0\ninfo: {title: Galley, version: '1.0'}\npaths: {}\n",
        "services/menus/qm.yaml": """\
version: 1
service:
  name: galley-menus
  lifecycle: production
  type: service
  tier: tier_4
  product: passenger
  system: onboard
  owner: {team: lighthouse, channel: "#lighthouse"}
  description: What there is to eat today
  apis:
    provides:
      - {name: menus, type: graphql, definition: schema.graphql}
  docs:
    - {kind: guide, title: Writing a menu, path: docs/menus.md}
""",
        "services/menus/schema.graphql": "type Query {\n  dishes(day: String!): [String!]!\n}\n",
        "services/menus/docs/menus.md": "# Writing a menu\n",
        "services/menus/mkdocs.yml": "site_name: Menus\n",
    },
}

# One repository of several services, and a handbook of its own.
TOGETHER: Final = {
    "kestrel/passenger/onboard/galley": """\
version: 1
include: ["services/*/qm.yaml"]
owner:
  team: lighthouse
  channel: "#lighthouse"
  url: https://kestrel.slack.example/archives/lighthouse
product: passenger
system: onboard
lifecycle: production
language: python
tags: [passenger, onboard]
services:
  - name: galley-orders
    tier: tier_2
    description: What passengers eat and where they sit
    dependencies: [identity]
    resources:
      - {name: galley-db, type: database, description: Orders and what is in the larder}
      - {name: galley-events, type: queue}
    apis:
      provides:
        - name: galley
          type: openapi
          definition: api/galley.yaml
          visibility: internal
          description: Orders a meal to a seat
    docs:
      - {kind: runbook, title: When the galley is closed, path: docs/runbook.md}
      - {kind: guide, title: How a menu is made, url: "https://wiki.kestrel.example/menus"}
    integrations:
      pagerduty: {service_id: PGALLEY1}
      grafana: {dashboard_selector: "tags @> 'galley'"}
      sentry: {project: kestrel/galley-orders}
      kubernetes: {id: galley-orders, namespace: onboard}
      argocd: {app_name: galley-orders}
    annotations: {kestrel.example/deck: "5"}
    labels: {kestrel.example/fleet: all}
  - name: galley-stock
    tier: tier_3
    description: Counts every sandwich
    owner:
      - {team: gangway, channel: "#gangway"}
      - {team: lighthouse, channel: "#lighthouse", url: "https://wiki.kestrel.example/lighthouse"}
    resources: [galley-db]
""",
    "kestrel/crew/golden-paths": """\
version: 1
documentation:
  name: Golden Paths
  description: How things are done at Kestrel Ferries
  docs:
    - {kind: golden_path, title: A new service, path: docs/new-service.md}
    - {kind: playbook, title: Storm at sea, path: docs/storm.md}
""",
}

# What lies below a group has this from it; the file lies in a project that the settings name.
KEEPER: Final = "kestrel/crew/handbook"
DEFAULTS: Final = """\
version: 1
defaults:
  kestrel/crew/**:
    owner: {team: shipwrights, channel: "#shipwrights"}
    product: platform
  kestrel/platform/foundation/**:
    product: platform
"""
INHERITING: Final = frozenset(("audit-log", "feature-flags"))  # services that name no product

IBM_MQ: Final = """\
apiVersion: mq.ibm.com/v1beta1
kind: QueueManager
metadata:
  name: quay-mq
spec:
  license: {accept: true, license: L-RJON-BZFQU2, use: Production}
  queueManager:
    name: QUAY1
    storage: {queueManager: {type: persistent-claim}}
  version: 9.3.0.0-r1
"""
