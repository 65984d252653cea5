"""The schemas of facts that may be pushed, as an admin writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import ConfigurationError
from bridge.model.facts import FactDefinition, FactSchema, FactType
from bridge.ox.facts.schema_file import load_schemas

WHOLE = """\
load_tests:
  version: 1.0.0
  title: Load tests
  description: What the nightly load test measured
  cadence: 2d
  entities: {kind: component}
  facts:
    p99_ms: {type: float, description: The 99th percentile}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "facts.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    fact = FactDefinition("p99_ms", FactType.FLOAT, "The 99th percentile")
    assert load_schemas(written(tmp_path, WHOLE)) == (
        FactSchema(
            "load_tests",
            "1.0.0",
            "Load tests",
            "What the nightly load test measured",
            (fact,),
            2 * 86_400.0,
            {"kind": "component"},
        ),
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_a_file_that_is_not_there_or_empty_has_none(tmp_path: Path, text: str) -> None:
    assert load_schemas(tmp_path / "other.yaml") == ()
    assert load_schemas(written(tmp_path, text)) == ()


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("- a\n", "facts.yaml:1", "schemas by their id"),
        ("a: [\n", "facts.yaml:2:1", "close the bracket"),
        ("a: 1\n", "facts.yaml:1:4", "a must be an object"),
        (WHOLE.replace("load_tests", "Load-Tests"), "facts.yaml:1:1", "`Load-Tests` is no id"),
        (WHOLE.replace("load_tests", "gitlab"), "facts.yaml:1:1", "is a collector's id"),
        (WHOLE.replace("1.0.0", "one"), "facts.yaml:2:12", "a version such as 1.0.0"),
        (WHOLE.replace("2d", "often"), "facts.yaml:5:12", "a time such as 12h"),
        (WHOLE.replace("title", "titel"), "facts.yaml:3:3", "did you mean `title`?"),
        (WHOLE.replace("float", "number"), "facts.yaml:8:20", "must be one of integer, float"),
        (WHOLE.replace("p99_ms", "p99-ms"), "facts.yaml:8:5", "a fact's name is"),
        (
            WHOLE.replace("{kind: component}", "component"),
            "facts.yaml:6:13",
            "must be an object",
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_line(
    tmp_path: Path, text: str, place: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_schemas(written(tmp_path, text), taken=["gitlab"])
    found = [str(problem) for problem in caught.value.problems]
    assert any(place in each and said in each for each in found), found
