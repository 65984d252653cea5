"""Several sources: each as if it were the only one, with settings of its own."""

from __future__ import annotations

from bridge.model.numbers import FIRST
from bridge.settings import Settings
from bridge.settings.given_secrets import PER_SOURCE, of_source
from bridge.settings.sources import GitLabSettings, SourceSettings


def each_source(settings: Settings) -> dict[str, Settings]:
    """The settings of every source, by name, the first one's first."""
    first = settings.model_copy(update={"further": ()})
    return {FIRST: first} | {one.name: _of(settings, one) for one in settings.further}


def _of(settings: Settings, one: SourceSettings) -> Settings:
    files = {k: v for k, v in settings.secret_files.items() if k not in PER_SOURCE}
    own = settings.source_secrets.get(one.name, {})
    variables = {field: of_source(field, one.suffix) for field in PER_SOURCE}
    files |= {
        field: settings.secret_files[variable]
        for field, variable in variables.items()
        if variable in settings.secret_files
    }
    return settings.model_copy(
        update={
            **{field: own.get(field) for field in PER_SOURCE},
            "source": one.url,
            "further": (),
            "gitlab": _gitlab(settings.gitlab, one.gitlab),
            "token_variable": variables["token"],
            "secret_files": files,
        }
    )


def _gitlab(common: GitLabSettings, own: GitLabSettings) -> GitLabSettings:
    """What is written for one GitLab, over what is written for all.

    Where a GitLab lies, which of its groups are read, and which of its projects keeps defaults for
    groups is said of each by itself.
    """
    written = {name: getattr(own, name) for name in own.model_fields_set}
    return common.model_copy(update={"url": "", "groups": (), "defaults": None, **written})
