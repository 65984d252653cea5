"""`fester token`: a new static token, and the settings that let it in."""

from __future__ import annotations

import click
from pydantic import ValidationError

from bridge.access.static_tokens import digest_of, new_token
from bridge.settings import TokenSettings


@click.command()
@click.argument("name", default="ci")
@click.option("--operate", is_flag=True, help="Let it change things too, not only read.")
def token(name: str, operate: bool) -> None:
    """Make a token for programs that ask `fester serve`, called NAME in the log (ci).

    The token is printed once, on stdout; nothing keeps it. The settings hold its hash alone.
    """
    made = new_token()
    scopes = "[read, operate]" if operate else "[read]"
    try:
        TokenSettings(name=name, sha256=digest_of(made))
    except ValidationError:
        raise click.BadParameter("use up to 63 of A-Z a-z 0-9 . _ -", param_hint="NAME") from None
    click.echo(made)
    click.echo(
        "\nThis is the only time that it is shown. Add to fester.yaml:\n\n"
        "access:\n"
        "  tokens:\n"
        f"    - {{name: {name}, sha256: {digest_of(made)}, scopes: {scopes}}}\n\n"
        "and ask with `Authorization: Bearer …`; a browser takes it as a password, with any name.",
        err=True,
    )
