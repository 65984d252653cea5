"""A small catalog in which every kind, every relation and every odd value occurs."""

from __future__ import annotations

from typing import Any

from bridge.model.entities import Body

Tree = dict[str, Any]


def _entity(kind: str, name: str, spec: Tree, **metadata: Any) -> Body:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


def _component(name: str, **more: Any) -> Body:
    spec = {"type": "service", "lifecycle": "production", "owner": "harbour"}
    metadata = {key: more.pop(key) for key in _METADATA & more.keys()}
    return _entity("Component", name, {**spec, **more}, **metadata)


_METADATA = {"namespace", "title", "description", "tags", "labels", "annotations", "links", "extra"}


def village() -> list[Body]:
    """The entities, none of which breaks a rule of Backstage."""
    plain = [
        _component(f"boat-{number:02}", title=f"Boat {number:02}", tags=["boat", f"no{number % 3}"])
        for number in range(23)
    ]
    return [*plain, *_ODD, *_REST]


_ODD: list[Body] = [
    _component(
        "Tide-Table",
        title="Tide Table",
        description="When the water comes. " * 15,  # too long to be searched
        tags=["tides", "java", "c++"],
        labels={"fester.dev/tier": "tier_1", "empty": ""},
        annotations={
            "backstage.io/source-location": "url:https://gitlab.example.com/harbour/tides/",
            "backstage.io/view-url": "https://gitlab.example.com/harbour/tides/-/blob/main/qm.yaml",
            "example.com/Mixed.Case": "Mixed Case Value",
        },
        links=[
            {"url": "https://example.com/a", "title": "Dashboard", "icon": "dashboard"},
            {"url": "https://example.com/b"},
        ],
        system="port",
        dependsOn=["resource:tide-db", "component:default/boat-01", "Component:Sea/buoy"],
        dependencyOf=["component:boat-02"],
        providesApis=["tide-api", "default/harbour-api"],
        consumesApis=["api:sea/weather"],
    ),
    _component(
        "odd",
        title="Ungewöhnlich ÄÖÜ",
        type="Library",
        lifecycle="experimental",
        subcomponentOf="tide-table",
        numbers=[1, 2.5, -0.0, 1e21, 1e-7, 123456789012],
        flags={"on": True, "off": False, "nothing": None, "Empty": {}, "none": []},
        nested=[{"key": "a", "list": ["x", "y"]}, {"key": "b", "list": ["z"]}],
        matrix=[["p", "q"], ["r"]],
        dotted={"a.b": {"c.d": "deep"}},
    ),
    _component(
        "risky",
        title="50%_off",
        annotations={"backstage.io/edit-url": "java\tscript:alert(1)"},
        tags=["boat"],
        owner="user:default/ana",
    ),
    _component(
        "buoy", namespace="sea", title="Buoy", owner="default/harbour", system="default/port"
    ),
    _component("lost", title="Lost", owner="group:nowhere/nobody", dependsOn=["component:ghost"]),
    _component("port", title="The component named port"),
]

_REST: list[Body] = [
    _entity("System", "port", {"owner": "harbour", "domain": "water"}, title="Port"),
    _entity("Domain", "water", {"owner": "group:harbour"}, title="Water"),
    _entity("Domain", "shore", {"owner": "harbour", "subdomainOf": "water"}, title="Shore"),
    _entity(
        "API",
        "tide-api",
        {
            "type": "openapi",
            "lifecycle": "production",
            "owner": "harbour",
            "system": "port",
            "definition": "openapi: 3.1.0\n" * 30,
        },
        title="Tide API",
    ),
    _entity(
        "API",
        "weather",
        {"type": "grpc", "lifecycle": "deprecated", "owner": "default/pilots", "definition": "x"},
        namespace="sea",
        title="Weather",
    ),
    _entity(
        "Resource",
        "tide-db",
        {
            "type": "database",
            "owner": "pilots",
            "system": "port",
            "dependsOn": ["resource:disk"],
            "dependencyOf": ["component:odd"],
        },
        title="Tide DB",
    ),
    _entity("Resource", "disk", {"type": "disk", "owner": "user:ana"}, title="Disk"),
    _entity(
        "Group",
        "harbour",
        {
            "type": "team",
            "children": ["pilots"],
            "members": ["ana", "user:default/bo"],
            "profile": {"displayName": "The Harbour", "email": "harbour@example.com"},
        },
        title="Harbour",
    ),
    _entity(
        "Group", "pilots", {"type": "team", "children": [], "parent": "harbour"}, title="Pilots"
    ),
    _entity(
        "User",
        "ana",
        {"memberOf": ["pilots", "harbour"], "profile": {"displayName": "Ana A."}},
        title="Ana",
    ),
    _entity("User", "bo", {"memberOf": []}, title="Bo"),
]
