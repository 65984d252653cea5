"""CODEOWNERS as GitLab reads it: who owns all that no other pattern names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.language.codeowners import owners_of_everything
from tests.laws import examples


@pytest.mark.parametrize(
    ("text", "owners"),
    [
        ("* @shop/api\n", ("@shop/api",)),
        ("# * @none\n\n*   @jane   @shop/api # both\n", ("@jane", "@shop/api")),
        ("* @first\n* @last\n", ("@last",)),  # the last one that fits counts
        ("* @all\n*.md @writers\n/docs/ @writers\n", ("@all",)),
        ("* @all\n*\n", ()),  # nobody any more
        ("/ @root\n", ("@root",)),
        ("**/* @all\n", ("@all",)),
        ("*.md @writers\n", ()),
        ("* jane@example.com @@maintainers @team\n", ("@team",)),
        ("[Code] @shop/api\n*\n", ("@shop/api",)),
        ("^[Code][2] @shop/api @jane\n* @own\n", ("@own",)),
        ("[Code] @a\n*.go\n[Docs] @b\n*\n", ("@b",)),
        ("* @plain\n[Code] @a\n*\n", ("@plain", "@a")),
        ("[Code] @a\n* @x\n[code]\n* @y\n", ("@y",)),  # one section, whatever its case
        ("path\\ with\\ spaces @a\n\\#file @b\n", ()),
        ("", ()),
        ("[", ()),
        # GitLab knows no comment behind an entry: what looks like an owner there is one.
        ("* # @a nobody yet\n", ("@a",)),
        ("* @a # not @b\n", ("@a", "@b")),
        ("[A] @a # not @b\n*\n", ("@a",)),  # a heading ends at what is no owner
        ("* -@a @b,@c.\n", ("@a", "@b", "@c")),
        ("[A] @a\n* nobody\n", ()),  # what names somebody has not the heading's
        ("* @a\n!*\n", ()),  # taken out again
        ("[A]x @a\n*\n", ()),
        ("* @x\n[CodeOwners] @a\n*\n", ("@a",)),  # what has no heading is called so
        ("[A\tb] @a\n*\tjane@x.example\t@@nobody\n", ()),
    ],
)
def test_the_owners_of_everything(text: str, owners: tuple[str, ...]) -> None:
    assert owners_of_everything(text) == owners


@settings(max_examples=examples(80))
@given(st.text(st.sampled_from("*[]^@#/\\ \n.aé\0"), max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    assert all(each.startswith("@") for each in owners_of_everything(text))


def test_a_long_file_is_cut() -> None:
    assert owners_of_everything("x @y\n" * 30_000 + "* @in\n") == ("@in",)
    assert owners_of_everything("x @y\n" * 40_000 + "* @late\n") == ()
    assert owners_of_everything("\\" * 100_000 + "\n* @team\n") == ("@team",)
