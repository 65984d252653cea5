"""Whatever is kept comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.model.entities import Draft
from bridge.model.json_text import ascii_json, tree_of
from bridge.model.manifests import Translation, Verdict, as_data
from bridge.model.memory import KnownProject
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import Project
from bridge.store import codec, model_codec
from tests.laws import examples
from tests.store import nouns

few = settings(
    max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def decode_project(text: str) -> KnownProject:
    return codec.decode_project(text, "", "")


PAIRS: list[tuple[st.SearchStrategy[Any], Callable[[Any], str], Callable[[str], Any]]] = [
    (
        st.builds(
            KnownProject, nouns.projects, st.none(), st.none(), nouns.anything, nouns.moments
        ),
        codec.encode_project,
        decode_project,
    ),
    (nouns.translations, codec.encode_translation, codec.decode_translation),
    (nouns.reports, codec.encode_report, codec.decode_report),
]


def test_dates_of_an_older_version_are_read_on_and_odd_ones_are_unknown() -> None:
    """It kept them as GitLab wrote them."""
    kept = {
        **{"id": 1, "path": "shop/cart", "created_at": "2024-05-01T10:00:00.000Z"},
        **{"updated_at": "2024-05-02T10:00:00.000Z", "last_activity_at": "yesterday"},
    }
    project = decode_project(ascii_json({"project": kept})).project
    assert project.created_at == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert project.updated_at == datetime(2024, 5, 2, 10, tzinfo=UTC)
    assert project.last_activity_at is None


@pytest.mark.parametrize("pair", PAIRS, ids=["project", "translation", "report"])
@few
@given(data=st.data())
def test_every_noun_comes_back_from_text_and_from_bytes(pair: Any, data: st.DataObject) -> None:
    """Law: decode(encode(noun)) is the noun, and the text is plain ASCII without NUL."""
    strategy, encode, decode = pair
    noun = data.draw(strategy)
    text = encode(noun)
    assert text.isascii()
    assert "\0" not in text
    assert decode(text) == noun
    assert codec.unpack(codec.pack(text)) == text


@pytest.mark.parametrize(
    ("noun", "encode", "decode"),
    [
        (
            KnownProject(Project(1, "a/b", topics=("x",)), None),
            codec.encode_project,
            decode_project,
        ),
        (
            Translation(Verdict.VALID, "f", drafts=(Draft({"kind": "System"}),)),
            codec.encode_translation,
            codec.decode_translation,
        ),
        (
            Report(Outcome.FAILED, 1.5, this_pass={"seen": 1}),
            codec.encode_report,
            codec.decode_report,
        ),
    ],
    ids=["project", "translation", "report"],
)
def test_what_a_newer_version_added_is_ignored(noun: Any, encode: Any, decode: Any) -> None:
    """An older Fester reads what a newer one wrote."""
    tree = json.loads(encode(noun)) | {"invented_later": [1, 2]}
    assert decode(json.dumps(tree)) == noun


def test_any_mapping_serves_as_a_body() -> None:
    """A read-only mapping is kept like a dict."""
    frozen = Translation(Verdict.VALID, "f", drafts=(Draft(MappingProxyType({"kind": "System"})),))
    kept = codec.decode_translation(codec.encode_translation(frozen))
    assert kept.drafts == (Draft({"kind": "System"}),)


@pytest.mark.parametrize("text", ["", "[tru", "[]", "null", '{"verdict": "maybe"}', "[" * 5000])
def test_damaged_text_is_said_to_be_so(text: str) -> None:
    """Whatever stands in a row, reading it raises `Undecodable` and nothing else."""
    with pytest.raises(codec.Undecodable):
        codec.decode_translation(text)


def test_damaged_bytes_are_said_to_be_so() -> None:
    """Not an error of zlib's."""
    with pytest.raises(codec.Undecodable):
        codec.unpack(b"nonsense")


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**30, 1.5, -7])
def test_a_number_comes_back_as_that_number_whatever_its_size(number: float) -> None:
    """In a manifest's data and in an entity's body: a float of it would be published as another."""
    translation = Translation(Verdict.VALID, "f", data=as_data([{"n": number}]))
    written = codec.encode_translation(translation)
    for found in (
        codec.decode_translation(written).documents,
        model_codec.loaded(model_codec.dumped([{"n": number}])),
    ):
        assert found == [{"n": number}]
        assert type(found[0]["n"]) is type(number)


@few
@given(nouns.trees)
def test_json_is_written_as_python_writes_it(tree: Any) -> None:
    """Digests of what is stored are of this text: another spelling would look like a change."""
    text = ascii_json(tree)
    assert text.isascii()
    assert tree_of(text) == tree
    # It may leave a character as it is that needs no escape.
    assert text.replace("\x7f", "\\u007f") == json.dumps(tree, separators=(",", ":"))


@pytest.mark.parametrize("value", [datetime(2026, 1, 1, tzinfo=UTC), {1, 2}, object()])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        ascii_json({"value": value})


@pytest.mark.parametrize("text", ["yesterday", "2026-01-01T12:00:00", "2026-13-01T12:00:00+00:00"])
def test_a_moment_that_was_never_written_so_is_refused(text: str) -> None:
    with pytest.raises(codec.Undecodable, match="date and time"):
        codec.moment_of(text)


def test_moments_are_stored_as_older_festers_wrote_them() -> None:
    """ "" stands for never in the columns, and only there."""
    for text in ("2026-11-26T17:26:57+00:00", ""):
        assert codec.moment_text(codec.moment_of(text)) == text
    assert codec.moment_of("") is None
