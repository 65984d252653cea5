"""Reading manifests: ordinary ones come out right, hostile ones as a problem in a place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bridge.errors import NotUnderstood
from bridge.language import text as reading
from bridge.language.text import DEFAULT_LIMITS, Limits, Position, Positions
from bridge.model.entities import Json
from bridge.model.problems import Problem
from tests.laws import examples


def read(text: str | bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[Json, ...]:
    """What the documents say."""
    return reading.read(text, limits)[0]


def positions(text: str | bytes) -> tuple[Positions, ...]:
    """Where it stands."""
    return reading.read(text)[1]


ORDINARY = """\
version: 1
service:
  name: Payments API
  description: >
    Takes money,
    gives receipts.
  owner: team-payments
  product: Shop
  system: checkout
  tier: tier_1
  lifecycle: generally_available
  language: "python"
  public: true
  deprecated: false
  replicas: 3
  offset: -12
  successor: ~
  nothing:
  tags:
    - key: env
      value: 'production'
    - {key: pci, value: "1.10"}
  aliases: [payments, pay-api]
  tools:
    - name: Grafana
      category: metrics
      url: https://grafana.example.com/d/abc?x=1&y=2
    - name: Runbook
      url: https://wiki.example.com/run#book
  dependencies:
    - alias: ledger
      notes: |
        Line one
          line two
    - alias: "café-☕"
  repositories: []
"""


def refusal(text: str | bytes, limits: Limits | None = None) -> Problem:
    with pytest.raises(NotUnderstood) as caught:
        read(text, limits or Limits())
    return caught.value.problem


def test_an_ordinary_manifest_reads_as_ruamel_reads_it() -> None:
    assert len(ORDINARY.splitlines()) == 36
    assert read(ORDINARY) == (YAML(typ="safe", pure=True).load(ORDINARY),)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1.10", "1.10"),
        ("1.5", "1.5"),
        ("2024-01-01", "2024-01-01"),
        ("2024-13-45", "2024-13-45"),
        ("010", "010"),
        ("0x1f", "0x1f"),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        (".inf", ".inf"),
        ("1e3", "1e3"),
        ("+1", "+1"),
        ("-", "-"),
        ("1_000", "1_000"),
        ("9" * 18, int("9" * 18)),
        ("9" * 19, "9" * 19),
        ("9" * 5000, "9" * 5000),
        ("'1'", "1"),
        ('"true"', "true"),
        ("'~'", "~"),
        ("null", None),
        ("", None),
        ("# x", None),
        ("TRUE", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("0", 0),
        ("-7", -7),
        ("٣", "٣"),
    ],
)
def test_only_what_cannot_surprise_is_more_than_text(written: str, value: Any) -> None:
    (tree,) = read(f"a: {written}\n") if written != "-" else ({"a": "-"},)
    assert tree == {"a": value}
    assert type(tree["a"]) is type(value)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert read("1: a\ntrue: b\non: c\n'<<': d\n'': e\n") == (
        {"1": "a", "true": "b", "on": "c", "<<": "d", "": "e"},
    )


def test_each_document_is_a_tree_of_its_own() -> None:
    assert read("a: 1\n---\n- b\n---\n") == ({"a": 1}, ["b"], None)
    assert read("") == read("# only a comment\n") == read("\ufeff") == ()


def test_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    assert read(b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\n") == ({"a": 1, "b": "x\ny\n"},)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("[https://x/y]", ["https://x/y"]),
        ("{url: https://x}", {"url": "https://x"}),
        ("{url: https://x:8080/?a=b#c, d: e}", {"url": "https://x:8080/?a=b#c", "d": "e"}),
        ("[a:b, c?d]", ["a:b", "c?d"]),
        ("{a:1}", {"a:1": None}),
    ],
)
def test_a_colon_within_a_word_of_a_flow_is_text(written: str, value: Any) -> None:
    """https://yaml.org/spec/1.2.2/#733-plain-style: only `: ` ends a key."""
    assert read(f"a: {written}\n") == ({"a": value},)


# Every hazard of the table, with the rule, the place, and a word of what to do.
HAZARDS: list[tuple[str, str | bytes, str, int, int, str]] = [
    ("nested lists", "[" * 30_000, "yaml-too-deep", 1, 1001, "flatten"),
    ("nested objects", "{a: " * 30_000, "yaml-too-deep", 1, 129, "flatten"),
    ("nested block lists", "- " * 30_000, "yaml-too-deep", 1, 65, "flatten"),
    ("nested list as a key", "x: 1\n? " + "[" * 30_000, "yaml-too-deep", 2, 1002, "flatten"),
    ("alias bomb", "a: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "yaml-anchor", 1, 4, "delete"),
    ("alias", "é: *a\n", "yaml-alias", 1, 4, "write the value"),
    ("alias as a key", "*a : 1\n", "yaml-alias", 1, 1, "write the value"),
    ("recursive alias", "- &a [*a]\n", "yaml-anchor", 1, 3, "delete"),
    ("anchored key", "&k a: 1\n", "yaml-anchor", 1, 1, "delete"),
    ("merge key", "a:\n  <<: {b: 1}\n", "yaml-merge-key", 2, 3, "write the merged keys out"),
    ("tag", "a: !!python/object:os.system x\n", "yaml-tag", 1, 4, "delete"),
    ("tagged list", "a: !x [1]\n", "yaml-tag", 1, 4, "delete"),
    ("tag directives", "%TAG !a! b\n" * 20_000, "yaml-tag", 1, 1, "delete"),
    ("duplicate key", "a: 1\nü: {b: 1, 'b': 2}\n", "yaml-duplicate-key", 2, 11, "line 2, column 5"),
    ("list as a key", "[a]: 1\n", "yaml-key", 1, 1, "quotes"),
    ("object as a key", "{a: b}: 1\n", "yaml-key", 1, 1, "quotes"),
    ("nothing as a key", "a: 1\n~: 1\n", "yaml-key", 2, 1, "quotes"),
    ("NUL", "name: a\nb: x\0y\n", "yaml-character", 2, 5, "U+0000"),
    ("control character", "é: \x1b[31m\n", "yaml-character", 1, 4, "U+001B"),
    ("half a character", "a: b\nc: \ud800\n", "yaml-character", 2, 4, "UTF-8"),
    ("half a character, escaped", 'a: "\\ud83d"\n', "yaml-syntax", 1, 7, "character itself"),
    ("no UTF-8", b"a: b\n\xc3\xa9: \xff\n", "yaml-encoding", 2, 4, "0xff"),
    ("UTF-16", "a: b".encode("utf-16"), "yaml-encoding", 1, 1, "UTF-8"),
    ("UTF-16 without a mark", "a: b".encode("utf-16-le"), "yaml-encoding", 1, 1, "UTF-8"),
    ("tab", "a:\n\tb: 1\n", "yaml-syntax", 2, 1, "spaces"),
    ("open quote", "a: 1\né: 'x\nb: 2\n", "yaml-syntax", 2, 4, "close it"),
    ("two colons", "éé: b: c\n", "yaml-syntax", 1, 6, "quotes"),
    ("no colon", "a: 1\nbc\nd: 2\n", "yaml-syntax", 2, 1, "no `:`"),
    ("indentation", "a: 1\n b: 2\n", "yaml-syntax", 2, 3, "indented"),
    ("colon at the end", "a: [https:]\n", "yaml-syntax", 1, 10, "quotes"),
    ("open list", "a: [b\nc: d\n", "yaml-syntax", 2, 2, "opened in line 1, column 4"),
    ("at sign", "a: @org/x\n", "yaml-syntax", 1, 4, "quotes"),
    ("glob", "a: *.py\n", "yaml-syntax", 1, 4, "quotes"),
    ("escape", 'a: "C:\\wörk"\n', "yaml-syntax", 1, 7, "single quotes"),
    ("YAML 3", "%YAML 3.0\n---\na\n", "yaml-syntax", 1, 1, "%YAML"),
]


@pytest.mark.parametrize(
    ("text", "rule", "line", "column", "advice"),
    [hazard[1:] for hazard in HAZARDS],
    ids=[hazard[0] for hazard in HAZARDS],
)
def test_a_hazard_is_refused_where_it_stands(
    text: str | bytes, rule: str, line: int, column: int, advice: str
) -> None:
    problem = refusal(text)
    assert (problem.rule, problem.line, problem.column) == (rule, line, column)
    assert advice in problem.message
    assert (problem.project, problem.file) == ("", "")


def test_each_limit_lets_pass_what_it_names_and_no_more() -> None:
    limits = Limits(bytes=60, depth=2, nodes=6, scalar=10, documents=2)
    assert read("a: [1, 2]", limits)
    assert refusal("a: [[1]]", limits).rule == "yaml-too-deep"
    assert read("[1, 2, 3, 4, 5]", limits)
    assert refusal("[1, 2, 3, 4, 5, 6]", limits).rule == "yaml-too-many-nodes"
    assert read(f"'{'x' * 10}'", limits)
    for text in ("x" * 11, f"'{'x' * 11}'", f"{'x' * 11}: 1", "1" * 11):
        assert refusal(text, limits).rule == "yaml-too-long"
    assert read("a\n---\nb", limits)
    assert refusal("a\n---\nb\n---\nc", limits).line == 4
    assert read("#" * 60, limits) == ()
    assert refusal("#" * 61, limits).rule == "yaml-too-big"
    assert refusal("#" + "é" * 30, limits).rule == "yaml-too-big"
    assert refusal(b"\xff" * 61, limits).rule == "yaml-too-big"


def test_what_a_message_shows_of_a_text_is_short_and_harmless() -> None:
    key = "k" * 500 + "\\n"
    message = refusal(f'"\\e\\u202e{key}": 1\n"\\e\\u202e{key}": 2\n').message
    assert "\x1b" not in message
    assert "\u202e" not in message
    assert len(message) < 250


def test_positions_name_keys_and_values_in_characters() -> None:
    text = "é: ü\nservice:\n  tools:\n  - url: x\n  - {ñ: [a, ö, b]}\n---\nsecond: 1\n"
    first, second = positions(text)
    assert first.value(("é",)) == Position(1, 4)
    assert first.key(("service", "tools")) == Position(3, 3)
    assert first.value(("service", "tools", 0, "url")) == Position(4, 10)
    assert first.key(("service", "tools", 1, "ñ")) == Position(5, 6)
    assert first.value(("service", "tools", 1, "ñ", 2)) == Position(5, 16)
    assert second.value(("second",)) == Position(7, 9)


def test_a_path_that_is_not_there_has_its_parents_position() -> None:
    (found,) = positions("a: 1\nservice:\n  name: x\n")
    assert found.value(("service", "owner", 3)) == Position(3, 3)
    assert found.key(("service", "owner")) == Position(3, 3)
    assert found.value(("nowhere",)) == Position(1, 1)
    assert found.key(()) == Position(1, 1)


def outcome(text: str | bytes) -> None:
    try:
        trees = read(text)
    except NotUnderstood as error:
        problem = error.problem
    else:
        assert json.dumps(trees) is not None
        assert len(positions(text)) == len(trees)
        return
    assert problem.line >= 1
    assert problem.column >= 1
    assert problem.message


YAML_LIKE = st.text(
    st.sampled_from("ab1 :-?[]{},#&*!|>'\"%@`~<\n\n  \t\r\\.é😀\ufeff\x85\u2028\x00"), max_size=60
)


@settings(max_examples=examples(150), deadline=None)
@given(st.one_of(st.text(max_size=60), st.binary(max_size=60), YAML_LIKE))
@example("%YAML 1.2\n%YAML 1.2\n---\n")
@example("%TAG ! x\n%TAG ! x\n---\n")
@example('"\\UFFFFFFFF"')
@example("a: |99\n x")
@example("!<%zz> a")
@example("\udc80")
def test_any_text_is_read_or_refused_with_a_place(text: str | bytes) -> None:
    """Law: whatever a stranger writes, nothing else than a tree or `NotUnderstood` comes out."""
    outcome(text)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, len(ORDINARY)), st.integers(0, 8), YAML_LIKE)
def test_a_damaged_manifest_is_read_or_refused_with_a_place(at: int, cut: int, new: str) -> None:
    outcome(ORDINARY[:at] + new + ORDINARY[at + cut :])


# JSON writes control characters and U+007F bare or as escapes that YAML reads alike or refuses;
# a key of more than 1,024 characters is no YAML key.
WORDS = st.text(
    st.characters(
        exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff\u2028\u2029\ufeff"
    ),
    max_size=20,
)
LEAVES = st.none() | st.booleans() | st.integers(-(10**18) + 1, 10**18 - 1) | WORDS
TREES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(WORDS, below, max_size=4),
    max_leaves=15,
)


@settings(max_examples=examples(100), deadline=None)
@given(TREES, st.sampled_from([None, 2]))
def test_what_json_writes_reads_as_the_same_tree(tree: Any, indent: int | None) -> None:
    """Law: read ∘ json.dumps is the identity for trees within the limits."""
    assert read(json.dumps(tree, ensure_ascii=False, indent=indent)) == (tree,)


def test_one_bad_document_does_not_hide_the_others() -> None:
    text = "# é\na: 1\n---\nb: 'open\n--- # c\nc: {d: 2}\n---\na: 1\na: 2\n"
    found = reading.read_each(text)
    assert [each.tree for each in found] == [{"a": 1}, None, {"c": {"d": 2}}, None]
    faults = [each.fault for each in found if each.fault]
    assert [(each.rule, each.line) for each in faults] == [
        ("yaml-syntax", 4),
        ("yaml-duplicate-key", 9),
    ]
    assert found[2].positions.value(("c", "d")) == Position(6, 8)


@pytest.mark.parametrize("text", ["a: 'x\n", "'x\n---\n'y\n", "x" * 300_000 + "\n---\na: 1\n"])
def test_a_text_of_which_nothing_can_be_read_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(NotUnderstood):
        reading.read_each(text)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(YAML_LIKE, min_size=2, max_size=4))
def test_reading_each_reads_what_reading_all_reads(parts: list[str]) -> None:
    """Law: where the whole can be read, both ways give the same."""
    text = "\n---\n".join(parts)
    try:
        trees = read(text)
    except NotUnderstood:
        return
    assert tuple(each.tree for each in reading.read_each(text)) == trees
