"""Secrets on their way into the settings: from a variable or a file, trimmed or refused.

Each can be given as `NAME`, or as `NAME_FILE`, the path of a file that holds it (as Kubernetes,
Docker and Vault mount secrets). A secret is never repeated in a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from bridge.model.problems import Problem
from bridge.secret.masks import IN_FORCE
from bridge.secret.values import header_value, read_secret, shared_secret, web_address
from bridge.settings.values import signing_key

TEAM_WEBHOOK: Final = "FESTER_DIGEST_WEBHOOK_"
OF_RECEIVER: Final = "FESTER_RECEIVER_SECRET_"  # and its name
FILE: Final = "_FILE"
STORE: Final = "FESTER_STORE"
# The fields that hold secrets, and the variables that they come from.
SECRETS: Final = {
    "snyk_token": "SNYK_TOKEN",
    "pagerduty_token": "PAGERDUTY_TOKEN",
    "opsgenie_token": "OPSGENIE_TOKEN",
    "jsm_token": "JSM_TOKEN",
    "digest_webhook": "FESTER_DIGEST_WEBHOOK",
    "token": "GITLAB_TOKEN",
    "backstage_token": "FESTER_BACKSTAGE_TOKEN",
    "webhook_token": "FESTER_WEBHOOK_TOKEN",
    "webhook_signing_key": "FESTER_WEBHOOK_SIGNING_KEY",
    "slack_signing_secret": "FESTER_SLACK_SIGNING_SECRET",
}
# Those that each further source has for itself: the variable, and the source's name behind it.
PER_SOURCE: Final = ("token", "webhook_token", "webhook_signing_key")
# Of these a part alone opens a door, or a person chose it.
_IN_URLS: Final = ("password", "passfile", "sslpassword", "token", "private_token", "access_token")
# GitLab's own prefixes: https://docs.gitlab.com/security/tokens/#token-prefixes
_NO_API: Final = {
    "gldt-": "a deploy token, which opens repositories and registries and not the API",
    "glcbt-": "a CI job token, which opens a few routes of the API and not GraphQL",
    "glrt-": "a runner's token",
    "glrtr-": "a runner's registration token",
    "glptt-": "a pipeline trigger's token",
    "glft-": "a feed token",
    "glimt-": "an incoming mail token",
    "glagent-": "an agent's token",
    "glffct-": "a feature flags client's token",
    "gloas-": "an application's secret",
}


def of_source(field: str, suffix: str = "") -> str:
    """The variable of a further source's own secret; without its suffix how those begin."""
    return f"{SECRETS[field]}_{suffix}"


def gitlab_token(text: str) -> str:
    """A token for GitLab's API; ValueError for one that is made for something else."""
    value = header_value(text)
    for prefix, kind in _NO_API.items():
        if value.startswith(prefix):
            raise ValueError(
                f"it is {kind}; make a personal, group or project access token (or an OAuth "
                "token) with the scope read_api"
            )
    return value


def signing_key_text(text: str) -> str:
    """A webhook's signing key as GitLab shows it; ValueError for anything else."""
    value = header_value(text)
    signing_key(value)
    return value


def receiver_secret(text: str) -> str:
    """What a receiver of changes checks signatures by; ValueError for anything else."""
    value = header_value(text)
    try:
        key = signing_key(value)
    except ValueError:
        key = b""
    if not 24 <= len(key) <= 64:  # as Standard Webhooks has it
        raise ValueError("expected whsec_ and then 24 to 64 random bytes in base64")
    return value


NORMAL: Final[Mapping[str, Callable[[str], str]]] = {
    "token": gitlab_token,
    "webhook_token": shared_secret,
    "webhook_signing_key": signing_key_text,
    "digest_webhook": web_address,
    "receiver_secret": receiver_secret,
}


def normal_of(name: str) -> Callable[[str], str]:
    """What trims the secret of a field, or raises ValueError."""
    return NORMAL.get(name, header_value)


@dataclass(frozen=True, slots=True)
class GivenSecret:
    """A secret as it was given: its value, and the file that it came from, if any."""

    value: str
    file: Path | None = None


def given(
    variable: str,
    environment: Mapping[str, str],
    problems: list[Problem],
    normal: Callable[[str], str] = header_value,
) -> GivenSecret | None:
    """The secret of a variable or of its file; None when it is not given or cannot be used."""
    text, path = environment.get(variable), environment.get(f"{variable}{FILE}")
    if text and path:
        message = f"{variable}{FILE} is set, too; leave one of them out"
        problems.append(_problem(message, variable))
        return None
    if not (text or path):
        return None
    file = Path(path) if path else None
    try:
        return GivenSecret(normal(read_secret(file) if file else str(text)), file)
    except ValueError as error:
        where = f"the file {file}" if file else "the secret"
        message = f"{where} cannot be used: {error}; copy it again"
        problems.append(_problem(message, f"{variable}{FILE}" if file else variable))
        return None


def mask_everything(environment: Mapping[str, str], urls: Collection[object]) -> None:
    """From now on no secret of this environment is shown, used or not, well formed or not."""
    by_name = (TEAM_WEBHOOK, OF_RECEIVER, *map(of_source, PER_SOURCE))
    names = [n for n in environment if n in SECRETS.values() or n.startswith(by_name)]
    texts = [environment[n] for n in names if not n.endswith(FILE)]
    for name in (*SECRETS.values(), *names):
        path = environment.get(name if name.endswith(FILE) else f"{name}{FILE}")
        texts += list(_in_file(path)) if path else []
    proxies = [environment[name] for name in environment if name.lower().endswith("_proxy")]
    for url in (environment.get(STORE), *proxies, *urls):
        texts += _in_url(url) if isinstance(url, str) else []
    IN_FORCE.replace(texts)


def _in_file(path: str) -> Iterator[str]:
    try:
        yield read_secret(Path(path))
    except ValueError:
        return


def _in_url(text: str) -> Iterator[str]:
    """What of a URL is a secret: a password, as it is written and as it is meant."""
    try:
        url = urlsplit(text.strip())
        password = url.password
    except ValueError:
        return
    found = [password] if password else []
    if url.username and not password and url.scheme in ("http", "https"):
        found.append(url.username)  # https://TOKEN@host
    for pair in url.query.split("&"):
        name, _, value = pair.partition("=")
        found += [value] if name.lower() in _IN_URLS and value else []
    for each in found:
        yield each
        yield unquote(each)


def _problem(message: str, variable: str) -> Problem:
    return Problem(message, "secret-malformed", file=f"variable {variable}")
