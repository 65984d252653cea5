"""Secrets of those whom people name in the settings: further sources, teams, receivers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from bridge.language.names import nearest
from bridge.model.problems import Problem
from bridge.settings.given_secrets import (
    FILE,
    OF_RECEIVER,
    PER_SOURCE,
    SECRETS,
    GivenSecret,
    given,
    normal_of,
    of_source,
)
from bridge.settings.places import placed
from bridge.settings.sections import Settings
from bridge.settings.sources import suffix_of


def named_secrets(
    settings: Settings,
    environment: Mapping[str, str],
    used: Collection[str],
    places: Mapping[tuple[str, ...], str],
    problems: list[Problem],
    *,
    unread: Collection[str] = (),
) -> dict[str, Any]:
    """What they make of fields of the settings, and `secret_files`, those that came from files.

    `used` names the fields that are looked for, `places` where each key was written; what is
    missing or wrong is added to `problems`. `unread` are the names of further sources that this
    command leaves out.
    """
    teams, receivers = {}, {}
    if "team_webhooks" in used:
        teams = _team_webhooks(settings, environment, places, problems)
    if "receiver_secrets" in used:
        receivers = _receiver_secrets(settings, environment, problems)
    sources = _source_secrets(settings, environment, used, problems)
    problems.extend(_alike(settings, sources))
    problems.extend(_of_nobody(settings, environment, used, unread))
    files = {name: each.file for name, each in teams.items() if each.file}
    files |= {f"{OF_RECEIVER}{name}": each.file for name, each in receivers.items() if each.file}
    for source in settings.further:
        for field, each in sources[source.name].items():
            if each.file:
                files[of_source(field, source.suffix)] = each.file
    return {
        "team_webhooks": _fields(teams),
        "source_secrets": {name: _fields(own) for name, own in sources.items()},
        "receiver_secrets": _fields(receivers),
        "secret_files": files,
    }


def _fields(found: Mapping[str, GivenSecret]) -> dict[str, SecretStr]:
    return {name: SecretStr(each.value) for name, each in found.items()}


def _source_secrets(
    settings: Settings,
    environment: Mapping[str, str],
    used: Collection[str],
    problems: list[Problem],
) -> dict[str, dict[str, GivenSecret]]:
    """What each further source has for itself, by its name and the fields.

    Without a token it is asked as anybody, without a secret for webhooks it takes none.
    """
    found: dict[str, dict[str, GivenSecret]] = {}
    for each in settings.further:
        own = {
            field: given(of_source(field, each.suffix), environment, problems, normal_of(field))
            for field in PER_SOURCE
            if field in used
        }
        found[each.name] = {field: secret for field, secret in own.items() if secret is not None}
    return found


def _alike(
    settings: Settings, sources: Mapping[str, Mapping[str, GivenSecret]]
) -> Iterator[Problem]:
    """Two GitLabs with one secret for webhooks: a hook of one would open the other's door."""
    for field in ("webhook_token", "webhook_signing_key"):
        holders: dict[str, list[str]] = {}
        first: SecretStr | None = getattr(settings, field)
        if first is not None:
            holders[first.get_secret_value()] = [SECRETS[field]]
        for each in settings.further:
            if (own := sources.get(each.name, {}).get(field)) is not None:
                holders.setdefault(own.value, []).append(of_source(field, each.suffix))
        for variables in holders.values():
            if len(variables) > 1:
                yield Problem(
                    f"{' and '.join(variables)} hold one secret, so a webhook of one GitLab would "
                    "pass for another's; give each GitLab a secret of its own",
                    "setting-invalid",
                )


def _of_nobody(
    settings: Settings,
    environment: Mapping[str, str],
    used: Collection[str],
    unread: Collection[str],
) -> Iterator[Problem]:
    """Secrets of GitLabs that nobody named: what is misspelt would be as if it were not there.

    `GITLAB_TOKEN_…` may be another program's: that is told where it is nearly one of ours.
    """
    suffixes = [each.suffix for each in settings.further]
    known = {*suffixes, *map(suffix_of, unread)}
    told = [variable for variable in sorted(environment) if environment[variable]]
    for field in (each for each in PER_SOURCE if each in used):
        begin = of_source(field)
        for variable in told:
            suffix = variable.removesuffix(FILE).removeprefix(begin)
            if not variable.removesuffix(FILE).startswith(begin) or suffix in known:
                continue
            lacking = [
                e for e in suffixes if not {f"{begin}{e}", f"{begin}{e}{FILE}"} & environment.keys()
            ]
            near = [f"{begin}{each}" for each in nearest(suffix, lacking)]
            if near or field != "token":
                hint = (
                    f"did you mean {near[0]}?" if near else "give it the name of one, or unset it"
                )
                message = (
                    f"no further item of `from` has the name that {variable} ends with; {hint}"
                )
                yield placed(message, f"variable {variable}")


def _team_webhooks(
    settings: Settings,
    environment: Mapping[str, str],
    places: Mapping[tuple[str, ...], str],
    problems: list[Problem],
) -> dict[str, GivenSecret]:
    """The address of each team's webhook, from the variable that the settings name for it."""
    teams: dict[str, GivenSecret] = {}
    for team, variable in settings.remediation.webhooks.items():
        before = len(problems)
        secret = given(variable, environment, problems, normal_of("digest_webhook"))
        if secret is not None:
            teams[team] = secret
        elif len(problems) == before:
            message = (
                f"the variable {variable} is not set; it holds the address of {team}'s webhook"
            )
            problems.append(placed(message, places.get(("remediation", "webhooks", team), "")))
    return teams


def _receiver_secrets(
    settings: Settings, environment: Mapping[str, str], problems: list[Problem]
) -> dict[str, GivenSecret]:
    """What signs what each receiver of changes is sent, by its name: none is sent unsigned."""
    found: dict[str, GivenSecret] = {}
    for each in settings.changes.receivers:
        variable, before = f"{OF_RECEIVER}{each.suffix}", len(problems)
        secret = given(variable, environment, problems, normal_of("receiver_secret"))
        if secret is not None:
            found[each.name] = secret
        elif len(problems) == before:
            message = (
                f"the variable {variable} is not set; it holds what signs messages to the receiver "
                f'{each.name}, which knows it, too: echo "whsec_$(openssl rand -base64 32)"'
            )
            problems.append(Problem(message, "setting-missing"))
    return found
