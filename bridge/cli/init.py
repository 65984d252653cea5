"""`fester init`: a first qm.yaml for the repository that one stands in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import click
from yarl import URL

from bridge.cli.checkout_seen import Guess, Seen, remote_of, seen_in
from bridge.cli.offline import repository_of
from bridge.cli.show import plain
from bridge.errors import ConfigurationError
from bridge.exporters.yaml_text import text as scalar
from bridge.language.text_faults import clean
from bridge.model.manifests import Verdict
from bridge.model.problems import Problem
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import load_mappings
from bridge.settings import load_settings
from bridge.wiring.neighbours import secret

NAMES: Final = ("qm.yaml", "qm.yml")
_MORE: Final = """\
  # What else is worth saying; take the # away:
  # tier: tier_3          # tier_1 is the most important
  # lifecycle: production
  # system: checkout      # what it is part of
  # tools:
  #   - {name: Dashboard, category: dashboard, url: "https://grafana.example.com/d/1"}
"""


@click.command()
@click.argument(
    "folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--print", "only_print", is_flag=True, help="Print it and write nothing.")
@click.option(
    "--from",
    "gitlab",
    metavar="URL",
    help="Ask this GitLab for the description and languages, with the token in GITLAB_TOKEN.",
)
def init(folder: Path, only_print: bool, gitlab: str | None) -> None:
    """Write a first qm.yaml for the repository of FOLDER, from what its files tell.

    Every guess says from where it is: look at each. A manifest that is there is never overwritten.
    """
    root = repository_of(folder / "any") or folder.absolute()
    there = next((root / name for name in NAMES if (root / name).exists()), None)
    if there is not None and not only_print:
        message = "is there already, and is never overwritten; `--print` shows what would be made"
        raise ConfigurationError([Problem(message, "manifest-exists", file=str(there))])
    seen = seen_in(root)
    if gitlab is not None:
        seen = _asked(gitlab, root, seen)
    text = first_manifest(seen)
    if only_print:
        click.echo(text, nl=False)
        return
    path = root / NAMES[0]
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise ConfigurationError([Problem(message, "unwritable", file=str(path))]) from None
    click.echo(f"{path} is written; look at each guess, then run: fester check {path}")


def first_manifest(seen: Seen) -> str:
    """The text of a qm.yaml that `fester check` finds nothing wrong with."""
    owner = seen.owner if seen.owner is not None and _usable(seen.owner.value) else None
    lines = ["version: 1", "service:", _line("  name", seen.name)]
    if seen.description is not None:
        lines.append(_line("  description", seen.description))
    lines += ["  owner:", _line("    team", owner or Guess("unknown", "nobody: name your team"))]
    if seen.language is not None:
        lines.append(_line("  language", seen.language))
    if seen.documents:
        lines.append("  docs:")
    for kind, path in seen.documents:
        lines += [f"    - kind: {kind}", f"      path: {scalar(path)}"]
    return "\n".join(lines) + "\n" + _MORE


def _line(key: str, guess: Guess) -> str:
    return f"{key}: {scalar(guess.value)}  # from {clean(guess.source, 200)}"


def _usable(team: str) -> bool:
    """Whether a team's name can be made one of the catalog's."""
    text = f"version: 1\nservice: {{name: any-service, owner: {{team: {scalar(team)}}}}}\n"
    file = ManifestFile("qm.yaml", "", len(text), text)
    return load_mappings().translate(Project(0, "any"), file).verdict is Verdict.VALID


def _asked(address: str, root: Path, seen: Seen) -> Seen:
    """With what GitLab knows of the project; only the GitLab that is named gets the token."""
    settings = load_settings({"from": address}, uses=("token",))
    remote = remote_of(root)
    url = URL(address)
    if remote is None or remote.host != url.host:
        where = f"is from {remote.host}" if remote else "has no remote named origin"
        message = f"the checkout {where}, so {url.host} was not asked; the rest is from the files"
        click.echo(plain(message), err=True)
        return seen
    # python-gitlab takes a while to import, and most want no GitLab here.
    import requests  # noqa: PLC0415
    from gitlab.exceptions import GitlabError  # noqa: PLC0415

    from bridge.neighbours.gitlab_rest import Connection, unanswered  # noqa: PLC0415

    connection = Connection(str(url), secret(settings, "token"), timeout=30.0)
    try:
        project = connection.projects.get(remote.path.removeprefix(url.path.strip("/") + "/"))
        languages = project.languages()
        description = getattr(project, "description", None)
    except GitlabError as error:
        code = error.response_code
        return _not_asked(f"GitLab answered {code} for {remote.path}: check the token", seen)
    except requests.RequestException as error:
        return _not_asked(unanswered(error), seen)
    finally:
        connection.close()
    if isinstance(description, str) and description.strip():
        seen = replace(seen, description=Guess(clean(description.strip(), 1000), "GitLab"))
    if isinstance(languages, dict) and languages:
        most = max(sorted(languages), key=lambda name: float(languages[name]))
        seen = replace(seen, language=Guess(clean(str(most), 100), "GitLab"))
    return seen


def _not_asked(why: str, seen: Seen) -> Seen:
    click.echo(plain(f"{why}; the rest is from the files"), err=True)
    return seen
