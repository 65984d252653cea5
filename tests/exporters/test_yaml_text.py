"""JSON trees as YAML text: nothing gets lost, nothing gets in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bridge.exporters.yaml_text import document
from tests.laws import examples

# Texts that some YAML reader takes for something else, or that end a scalar when left plain.
TRICKY = [
    "", " ", "~", "null", "Null", "yes", "NO", "on", "Off", "y", "true", "FALSE", ".inf", ".NaN",
    "1", "-1", "+1", "010", "0x1F", "0o17", "1e3", "1.10", "1_000", "1:30", "12:30:45",
    "2024-01-01", "2024-13-45", "- a", "-", "---", "...", "a: b", "a #b", "#a", "key:", "&a",
    "*a", "!t", "!!str x", "|", ">", "'", "\"", "%TAG", "@at", "`tick", "{a: b}", "[a]", "a, b",
    "? x", "=", "<<", "$text", "a\nb", "a\r\nb", "\ta", "a\t", " a", "a ", "\u0000", "\u0007",
    "\u007f", "\u0085", "\u2028", "\u2029", "\ufeff", "\u00e9", "\u65e5\u672c", "😀",
    "a/b", "component:default/x", "https://x.example/a?b=c#d", "e", ".", "http: x", "a:b", "1a",
    "a:", "0b1", "-.5", "Infinity", "NaN", "inf",
]  # fmt: skip

texts = st.one_of(
    st.sampled_from(TRICKY),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30),
)
keys = texts.filter(bool)
trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**15), 10**15), texts),
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(keys, below, max_size=4)),
    max_leaves=20,
)


def load(text: str, *, pure: bool) -> Any:
    return YAML(typ="safe", pure=pure).load(text)


@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.parametrize("value", TRICKY)
def test_a_text_comes_back_as_that_text(value: str, pure: bool) -> None:
    tree = {"a": value, value or "k": [value, {"b": value}], "z": 1}
    assert load(document(tree), pure=pure) == tree


@settings(max_examples=examples(150), deadline=None)
@given(trees)
def test_reading_undoes_rendering(tree: Any) -> None:
    """Law: whatever the tree, a YAML reader gets the same tree back."""
    text = document(tree)
    assert load(text, pure=True) == tree
    assert load(text, pure=False) == tree


@settings(max_examples=examples(50), deadline=None)
@given(st.dictionaries(keys, trees, max_size=5), st.randoms())
def test_the_order_of_keys_does_not_matter(tree: dict[str, Any], random: Any) -> None:
    shuffled = list(tree.items())
    random.shuffle(shuffled)
    assert document(dict(shuffled)) == document(tree)


def test_it_reads_like_an_entity() -> None:
    tree = {
        "spec": {"owner": "group:default/team", "dependsOn": ["component:default/db"]},
        "metadata": {"tags": [], "name": "api", "links": [{"url": "https://x", "title": "X y"}]},
        "kind": "Component",
        "apiVersion": "backstage.io/v1alpha1",
    }
    assert document(tree) == (
        "apiVersion: backstage.io/v1alpha1\n"
        "kind: Component\n"
        "metadata:\n"
        "  name: api\n"
        "  links:\n"
        "    - title: X y\n"
        "      url: https://x\n"
        "  tags: []\n"
        "spec:\n"
        "  owner: group:default/team\n"
        "  dependsOn:\n"
        "    - component:default/db\n"
    )


def test_a_half_surrogate_becomes_an_escape_that_can_be_encoded() -> None:
    assert document({"a": "\ud800"}).encode() == b'a: "\\ud800"\n'
