"""Keys, numbers and hostile texts at YAML's edges."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bridge.exporters.render import render_catalog
from bridge.exporters.yaml_text import document
from tests.exporters.catalogs import catalog
from tests.laws import examples

# What structure is made of in YAML, in every mixture.
hostile = st.text(alphabet="-:#?&*!|>%@`'\"{}[],.~=<$ \t\n\r\x85\u2028ae01\\", max_size=25)


def load(text: str, *, pure: bool) -> Any:
    return YAML(typ="safe", pure=pure).load(text)


@settings(max_examples=examples(120), deadline=None)
@given(hostile, hostile)
def test_no_text_ends_its_scalar(key: str, value: str) -> None:
    """Law: injection is impossible. One line a value, ASCII structure, the same tree back."""
    tree = {"name": {key or "k": value}, "list": [value, [value, {key or "k": [value]}]]}
    text = document(tree)
    assert len(text.splitlines()) == text.count("\n") == 7
    for pure in (True, False):
        assert load(text, pure=pure) == tree


@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.parametrize("key", ["k" * 1500, "\u65e5" * 600, "\x7f" * 170, "a\n" * 900])
def test_a_key_longer_than_yaml_s_simple_keys_comes_back(key: str, pure: bool) -> None:
    tree = {"a": [{key: 1, "z": {key: [1]}}], key: {"b": key}}
    assert load(document(tree), pure=pure) == tree


@settings(max_examples=examples(60), deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back_as_that_number(number: float) -> None:
    for pure in (True, False):
        found = load(document({"a": number}), pure=pure)["a"]
        assert (found, type(found)) == (number, float)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        document({"a": number})


@pytest.mark.parametrize("tree", [{1: "a"}, {"a": 1, None: 2}])
def test_a_key_that_is_no_text_is_refused(tree: Any) -> None:
    with pytest.raises(TypeError):
        document(tree)


@pytest.mark.parametrize("prefix", ["", "a b", "-a", "a" * 23, "a\n"])
def test_a_prefix_that_backstage_would_refuse_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="cannot begin a Location's name"):
        render_catalog(catalog(1), prefix=prefix)
