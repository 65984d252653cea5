"""What tools are told of the GitLabs that are read."""

from __future__ import annotations

import pytest

from bridge.settings import Settings
from bridge.wiring.ox import snyk_of

LAB = {"name": "lab", "url": "https://two/git/tools", "gitlab": {"url": "https://two/git"}}


@pytest.mark.parametrize(
    ("sources", "gitlabs"),
    [
        ("https://one/shop", ()),
        (["https://one/shop", LAB], ("https://one", "https://two/git")),
    ],
)
async def test_snyk_is_told_where_each_of_several_gitlabs_lies(
    sources: object, gitlabs: tuple[str, ...]
) -> None:
    snyk = snyk_of(
        Settings.model_validate({"from": sources, "snyk_token": "t", "snyk": {"org": "o"}})
    )
    assert snyk is not None
    await snyk.api.close()
    assert snyk.gitlabs == gitlabs
