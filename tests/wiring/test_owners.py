"""Groups that another provider puts into Backstage can be named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.errors import ConfigurationError
from bridge.model.entities import CatalogEntity, Ref
from bridge.model.facts import Subject
from bridge.ox.facts.manifest import read
from bridge.settings import load_settings
from bridge.wiring.owners import known_owners

PAYMENTS = Ref("group", "default", "payments")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_list_and_a_file_name_groups_and_users(tmp_path: Path) -> None:
    (tmp_path / "groups.txt").write_text("# from LDAP\nShop\nuser:default/jane  # on leave\n\n")
    config = tmp_path / "fester.yaml"
    config.write_text(f"owners: {{known: [payments], known_file: {tmp_path}/groups.txt}}\n")
    settings = load_settings({}, config=config, environment={})
    jane, shop = Ref("user", "default", "jane"), Ref("group", "default", "shop")
    assert known_owners(settings) == {PAYMENTS, jane, shop}


def test_what_is_no_reference_and_a_file_that_is_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "groups.txt").write_text("a/b/c\n")
    for text, said in (
        (f"known: ['x:y:z'], known_file: {tmp_path}/groups.txt", "groups.txt:1:1"),
        (f"known_file: {tmp_path}/none.txt", "cannot be read"),
    ):
        config = tmp_path / "fester.yaml"
        config.write_text(f"owners: {{{text}}}\n")
        with pytest.raises(ConfigurationError, match=said):
            known_owners(load_settings({}, config=config, environment={}))


def test_the_owner_of_a_service_may_be_one_of_them() -> None:
    body = {"kind": "Component", "metadata": {"name": "x"}, "spec": {"owner": "payments"}}
    subject = Subject(CatalogEntity(Ref.of(body), body, ()))
    assert read(subject, NOW).values()["owner_known"] is False
    assert read(subject, NOW, frozenset({PAYMENTS})).values()["owner_known"] is True
