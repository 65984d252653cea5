"""Which of Backstage's packages are installed."""

from __future__ import annotations

import json

from tests.backstage.installation import PACKAGE, wanted


def test_the_newest_are_asked_for_only_by_name_and_ours_to_compile_stay() -> None:
    pinned = PACKAGE.read_text("utf-8")
    assert wanted(pinned, {}) == pinned
    newest = json.loads(wanted(pinned, {"FESTER_BACKSTAGE": "newest"}))["dependencies"]
    assert newest.keys() == json.loads(pinned)["dependencies"].keys()
    assert newest["@backstage/plugin-catalog-backend"] == "latest"
    assert newest["better-sqlite3"] == json.loads(pinned)["dependencies"]["better-sqlite3"]
