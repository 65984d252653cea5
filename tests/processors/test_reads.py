"""`reads`, `nested` and `files` of the mapping language, and definitions of APIs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.errors import ConfigurationError
from bridge.language.codeowners import PLACES
from bridge.language.definitions import definition, definition_fault
from bridge.model.manifests import CodeOwners, TranslatedManifest, Translation, Verdict
from bridge.model.reads import ReadFile, ReadKind, Reads, Wanted
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.aggregation import said
from bridge.processors.mapping import Mappings, load_mappings
from bridge.processors.placeholders import neutralised
from bridge.processors.rules import broken_rules
from tests.guide import blocks

OID = "a" * 40
SHIPPED = load_mappings()


def found(path: str, text: str | None = None, kind: ReadKind = ReadKind.FILE) -> ReadFile:
    return ReadFile(path, kind, OID, 1, text)


def file(text: str, *reads: ReadFile, path: str = "qm.yaml") -> ManifestFile:
    return ManifestFile(
        path, "o", len(text), text, reads=Reads({each.path: each for each in reads})
    )


def qm(**service: Any) -> str:
    return json.dumps({"version": 1, "service": {"name": "a", "owner": {"team": "t"}, **service}})


def api(definition: str, type_: str = "openapi") -> str:
    return qm(apis={"provides": [{"name": "a", "type": type_, "definition": definition}]})


def made(text: str, *reads: ReadFile, kind: str = "API", path: str = "qm.yaml") -> Any:
    translation = SHIPPED.translate(
        Project(1, "shop/a", "https://g.test/a", "main"), file(text, *reads, path=path)
    )
    return next(each.body for each in translation.drafts if each.body["kind"] == kind)


def mappings_with(
    tmp_path: Path, reads: Any, name: str = "${{ manifest.name }}", **more: Any
) -> Mappings:
    """The shipped mappings, and one of `own.yaml` with these `reads`."""
    tree = {
        "mapping": "own",
        "title": "own.yaml",
        "files": ["own.yaml"],
        "schema": "own.schema.json",
        "reads": reads,
        "entities": [
            {
                "apiVersion": "backstage.io/v1alpha1",
                "kind": "Component",
                "metadata": {"name": name},
                "spec": {"type": "a", "lifecycle": "b", "owner": "c"},
            }
        ],
        **more,
    }
    (tmp_path / "own.schema.json").write_text('{"type": "object"}')
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(tree))
    return load_mappings(tmp_path)


def test_the_guides_reads_are_understood(tmp_path: Path) -> None:
    (shown,) = [
        b.text for b in blocks() if b.page.stem == "mapping" and b.text.startswith("reads:")
    ]
    mappings = mappings_with(tmp_path, yaml.safe_load(shown)["reads"])
    given = file(json.dumps({"service": {"docs": [{"path": "docs/a.md"}]}}), path="sub/own.yaml")
    assert mappings.wanted(Project(1, "a/b"), given) == Wanted(
        texts=frozenset({"sub/openapi.yaml", *PLACES}),
        there=frozenset({"sub/docs/a.md"}),
        globs=frozenset({"sub/protos/*.proto"}),
        named=frozenset({"sub/docs/a.md"}),
        spare=frozenset(PLACES),
    )
    assert mappings.reads


@pytest.mark.parametrize("glob", ["**/x.yaml", "a/*/*/*/*/*", "../*", "/*", "plain.yaml"])
def test_a_pattern_that_cannot_be_looked_for_is_a_mistake_of_the_mapping(
    tmp_path: Path, glob: str
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be looked for"):
        mappings_with(tmp_path, [{"glob": glob}])


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "docs/../../x", "https://x.test/a", "a\\b", "a\nb", "*", ""]
)
def test_a_path_that_leads_out_is_not_read(path: str) -> None:
    wanted = SHIPPED.wanted(Project(1, "a/b"), file(api(path)))
    assert wanted.texts == frozenset(PLACES)
    assert isinstance(made(api(path))["spec"]["definition"], str)


def test_a_key_that_files_do_not_have_is_a_mistake_of_the_mapping(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean `exists`"):
        mappings_with(tmp_path, [], "${{ files[manifest.name].exist }}")
    with pytest.raises(ConfigurationError, match="must be a text or a small number"):
        mappings_with(tmp_path, [], "${{ manifest[manifest.name] }}")


@pytest.mark.parametrize(
    ("manifest", "nearest", "named"),
    [
        ("qm.yaml", "docs/b.md", "docs/b.md"),
        ("services/a/qm.yaml", "services/a/docs/b.md", "docs/b.md"),
        ("services/a/qm.yaml", "services/docs.md", "../docs.md"),
    ],
)
def test_what_is_nearest_is_named_as_the_manifest_would(
    manifest: str, nearest: str, named: str
) -> None:
    docs = qm(docs=[{"kind": "guide", "path": "docs/a.md"}])
    path = f"{manifest.rpartition('/')[0]}/docs/a.md".removeprefix("/")
    absent = ReadFile(path, ReadKind.ABSENT, nearest=nearest)
    found = SHIPPED.translate(Project(1, "shop/a"), file(docs, absent, path=manifest))
    (problem,) = found.problems
    assert f"did you mean `{named}`?" in problem.message


def test_what_was_not_looked_for_is_null_and_not_absent() -> None:
    docs = qm(docs=[{"kind": "guide", "path": "docs/a.md"}])
    project = Project(1, "shop/a")
    assert SHIPPED.translate(project, file(docs)).problems == ()
    gone = found("docs/a.md", kind=ReadKind.ABSENT)
    (problem,) = SHIPPED.translate(project, file(docs, gone)).problems
    assert problem.rule == "document-missing"


@pytest.mark.parametrize(
    ("files", "owners"),
    [
        ({"CODEOWNERS": "* @shop/pay @kim"}, ("CODEOWNERS", ("@shop/pay", "@kim"))),
        ({"docs/CODEOWNERS": "* @a", ".gitlab/CODEOWNERS": "* @b"}, ("docs/CODEOWNERS", ("@a",))),
        ({"CODEOWNERS": "*.md @a"}, None),
        # GitLab takes the first one that is there, whatever it says.
        ({"CODEOWNERS": None, "docs/CODEOWNERS": "* @b"}, None),
        ({"CODEOWNERS": "[A] @a\n*\n" + "".join(f"[s{n}]\n* @t{n}\n" for n in range(50))}, "10"),
        ({}, None),
    ],
)
def test_a_translation_remembers_whom_codeowners_names_for_everything(
    files: dict[str, str | None], owners: Any
) -> None:
    read = [found(path, text) for path, text in files.items()]
    for manifest in (qm(), "version: 1\nservice: {name: no owner}\n", "kind: QueueManager\n"):
        told = SHIPPED.translate(Project(1, "shop/a"), file(manifest, *read))
        if owners == "10":
            assert told.code_owners is not None
            assert len(told.code_owners.handles) == 10
        else:
            assert told.code_owners == (CodeOwners(*owners) if owners else None)


def test_an_api_has_no_definition_that_another_one_names() -> None:
    named = {"name": "a", "type": "openapi", "definition": "openapi.yaml"}
    text = qm(apis={"provides": [named, "b", {"name": "c", "type": "grpc"}]})
    own = found("openapi.yaml", "openapi: 3.1.0\ninfo: {title: A, version: '1'}\npaths: {}\n")
    drafts = SHIPPED.translate(Project(1, "shop/a"), file(text, own)).drafts
    specs = {d.body["metadata"]["name"]: d.body["spec"] for d in drafts if d.body["kind"] == "API"}
    assert "$text" in specs["a"]["definition"]
    assert specs["b"]["type"] == "unspecified"
    for name in ("b", "c"):
        assert specs[name]["definition"].endswith("gives no definition of it.")


def test_a_translation_depends_on_the_blobs_that_were_read() -> None:
    project, text = Project(1, "shop/a"), api("a.yaml")
    prints = {
        SHIPPED.fingerprint(project, each)
        for each in (
            file(text),
            file(text, found("a.yaml", "openapi: 3\n")),
            file(text, ReadFile("a.yaml", ReadKind.FILE, "b" * 40, 1)),
            file(text, found("a.yaml", kind=ReadKind.ABSENT)),
        )
    }
    assert len(prints) == 4
    kept = ReadFile("a.yaml", ReadKind.FILE, OID, 1, kept=True)
    assert SHIPPED.fingerprint(project, file(text, kept)) in prints


@pytest.mark.parametrize(
    ("type_", "text", "said_"),
    [
        ("openapi", "openapi: 3.1.0\n", None),
        ("openapi", "swagger: '2.0'\n", None),
        ("openapi", '{"openapi": "3.0.0"}', None),
        ("openapi", "asyncapi: 3.0.0\n", "is not openapi: there is no `openapi` or `swagger`"),
        ("openapi", "info: {openapi: 3}\n", "is not openapi"),
        ("openapi", "- openapi\n", "holds a list"),
        ("openapi", "a: [\n", "is not YAML (line 2)"),
        ("openapi", '{"a": ', "is not JSON"),
        ("openapi", "[" * 5_000, ""),
        ("openapi", "{a: " * 5_000, "is n"),
        ("openapi", '{"a":' * 50_000, "is n"),
        ("openapi", "", "is empty"),
        ("asyncapi", "asyncapi: 3.0.0\n", None),
        ("graphql", "type Query { a: Int }", None),
        ("graphql", "type Query {", "is not GraphQL (line 1)"),
        ("graphql", "{a" * 50_000, "is n"),
        ("grpc", 'syntax = "proto3";', None),
        ("grpc", "openapi: 3\n", "is not a proto file"),
        ("trpc", "anything", None),
        ("trpc", "  ", "is empty"),
    ],
)
def test_a_definition_is_what_it_is_said_to_be(type_: str, text: str, said_: str | None) -> None:
    told = {"exists": True, "path": "a.yaml", "oid": OID, "text": text}
    fault = definition_fault(told, type_)
    assert fault is None if said_ is None else fault is not None and said_ in fault


def test_a_definition_that_many_apis_name_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []

    def watched(text: str, **how: Any) -> Any:
        texts.append(text)
        return parse(text, **how)

    parse = yaml.parse
    monkeypatch.setattr(yaml, "parse", watched)
    good, other = "openapi: 3.1.0\ninfo: {title: one}\n", "openapi: 3.1.0\ninfo: {title: two}\n"
    for text in (good, good, other):
        told = {"exists": True, "path": "a.yaml", "oid": OID, "text": text}
        assert definition(told, "openapi") is not None
        assert definition_fault(told, "openapi") is None
    assert definition_fault({**told, "text": good}, "asyncapi") is not None
    assert texts == [good, other, good]


def test_a_definition_leads_beside_the_shards_and_is_fit_by_backstages_rules() -> None:
    body = made(api("a.yml"), found("a.yml", "openapi: 3.1.0\n"))
    assert body["spec"]["definition"] == {"$text": f"../definitions/{OID}.yaml"}
    assert broken_rules(body) == []
    assert neutralised(body) == (body, ())


@pytest.mark.parametrize(
    "given",
    [
        {"$text": "https://evil.test/x"},
        {"$text": f"../definitions/{OID}.yaml/../../x"},
        {"$text": f"definitions/{OID}.yaml"},
        {"$yaml": f"../definitions/{OID}.yaml"},
        {"$text": f"../definitions/{OID}.yaml", "more": 1},
        {"$text": [f"../definitions/{OID}.yaml"]},
    ],
)
def test_nobody_else_gets_a_placeholder_through(given: Any) -> None:
    body = made(api("a.yml"), found("a.yml", "openapi: 3.1.0\n"))
    spoilt = {**body, "spec": {**body["spec"], "definition": given}}
    tame, _ = neutralised(spoilt)
    assert tame["spec"]["definition"] != given or "more" in given
    # Beside a definition of ours everything else is still made harmless.
    sly = {**body, "metadata": {**body["metadata"], "annotations": {"$json": "https://x.test"}}}
    draft = SHIPPED.translate(Project(1, "a/b"), file(qm())).drafts[0]
    assert draft
    assert neutralised(sly)[0]["metadata"]["annotations"] == {"json": "https://x.test"}
    assert neutralised(sly)[0]["spec"]["definition"] == body["spec"]["definition"]


def test_what_a_definition_holds_never_becomes_part_of_an_entity() -> None:
    text = "openapi: 3.1.0\nx: {$text: 'https://evil.test'}\n"
    project = Project(1, "shop/a")
    translation = SHIPPED.translate(project, file(api("a.yaml"), found("a.yaml", text)))
    statements, problems = said(TranslatedManifest(project, "qm.yaml", "o", translation))
    assert problems == []
    assert "evil" not in json.dumps([each.body for each in statements])


def test_a_manifest_that_only_includes_others_is_valid() -> None:
    text = "version: 1\ninclude: [services/*/qm.yaml, a/qm.yaml]\n"
    translation = SHIPPED.translate(Project(1, "a/b"), file(text))
    assert translation.verdict is Verdict.VALID
    assert translation.problems == ()
    wanted = SHIPPED.wanted(Project(1, "a/b"), file(text))
    assert wanted.manifests == ("services/*/qm.yaml", "a/qm.yaml")
    broken = SHIPPED.translate(Project(1, "a/b"), file("version: 1\ninclude: ['**/qm.yaml']\n"))
    assert "without `**`" in broken.problems[0].message
    assert isinstance(translation, Translation)


def test_what_a_mapping_cannot_say_of_nested_manifests_is_told(tmp_path: Path) -> None:
    mappings = mappings_with(tmp_path, [], "a", nested="${{ manifest.name | lower }}")
    own = file("name: [a, {b: c}]\n", path="own.yaml")
    assert mappings.wanted(Project(1, "a/b"), own).manifests == ()
    translation = mappings.translate(Project(1, "a/b"), own)
    assert translation.verdict is Verdict.QUARANTINED
    assert [each.rule for each in translation.problems] == ["mapping-failed"]
