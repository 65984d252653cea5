"""The one place that knows every secret in force, and takes each out of what people get to see.

Whatever a library says of its failure may quote a token: in a header, in a URL, as a `repr`, in
base64. So every error, problem and log line of ours passes through `masked`, and nothing else has
to know which text of which library may be shown.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK: Final = "***"
# A word of a few letters may be a secret and part of many words: it is one by itself only.
_SHORT: Final = 8
_TINY: Final = 4
_PATH_OF_A_URL: Final = 12


class Masks:
    """Secrets, and a pattern for everything that shows one of them."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._hints: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None

    def __repr__(self) -> str:
        return f"Masks({len(self._secrets)} secrets)"

    def replace(self, secrets: Iterable[str]) -> None:
        """From now on mask these and no others."""
        self._secrets = frozenset(_parts(secrets))
        forms = {form: pattern for secret in self._secrets for form, pattern in _forms(secret)}
        ordered = sorted(forms, key=len, reverse=True)  # else a part would leave the rest to see
        self._hints = tuple(ordered)
        self._pattern = re.compile("|".join(forms[form] for form in ordered)) if ordered else None

    def add(self, secret: str) -> None:
        """Mask this one, too; what was masked before stays so, for old logs speak of it."""
        self.replace((*self._secrets, secret))

    def text(self, text: str) -> str:
        """The text without any secret."""
        if self._pattern is None or not any(hint in text for hint in self._hints):
            return text
        return self._pattern.sub(MASK, text)

    def tree(self, tree: Any) -> Any:
        """A tree of mappings, lists and texts without any secret; other leaves stay."""
        if isinstance(tree, str):
            return self.text(tree)
        if isinstance(tree, bytes):
            return self.text(repr(tree))
        if isinstance(tree, Mapping):
            return {self.tree(key): self.tree(value) for key, value in tree.items()}
        if isinstance(tree, list | tuple | set | frozenset):
            return [self.tree(item) for item in tree]
        if tree is None or isinstance(tree, bool | int | float):
            return tree
        shown = str(tree)
        hidden = self.text(shown)
        return tree if shown == hidden else hidden


IN_FORCE: Final = Masks()


def masked(text: str) -> str:
    """The text without any secret in force."""
    return IN_FORCE.text(text)


def _parts(secrets: Iterable[str]) -> Iterator[str]:
    """Each secret; of a URL also what makes it one: its password, and its path."""
    for secret in secrets:
        if not secret:
            continue
        yield secret
        if secret.strip() and secret.strip() != secret:
            yield secret.strip()
        if "://" not in secret:
            continue
        try:
            url = urlsplit(secret.strip())
            password = url.password
        except ValueError:
            continue
        if password:
            yield password
            yield unquote(password)
        if url.scheme in ("http", "https") and len(url.path) >= _PATH_OF_A_URL:
            yield url.path + (f"?{url.query}" if url.query else "")
            yield url.path


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    """Every text by which a secret shows, and the pattern that finds it."""
    if len(secret) < _TINY:
        yield f":{secret}@", re.escape(f":{secret}@")
        return
    raw = secret.encode("utf-8", "surrogateescape")  # a variable may hold any bytes
    texts = {
        *(secret, quote(raw), quote(raw, safe=""), quote_plus(raw)),
        *(repr(secret)[1:-1], repr(raw)[2:-1], json.dumps(secret)[1:-1], html.escape(secret)),
    }
    # An address within an address, a JSON text within another one.
    texts |= {quote(quote(raw, safe=""), safe=""), json.dumps(json.dumps(secret)[1:-1])[1:-1]}
    texts |= {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text) for text in texts}
    for text in texts:
        whole = re.escape(text)
        yield text, rf"(?<![A-Za-z0-9]){whole}(?![A-Za-z0-9])" if len(text) < _SHORT else whole
    if len(secret) >= _SHORT:
        for text in _in_base64(raw):
            yield text, re.escape(text)


def _in_base64(secret: bytes) -> Iterator[str]:
    """What base64 makes of a secret wherever it stands in a text: three ways, by its place."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + secret).decode()
        # The first and the last characters hold bits of what stands beside the secret.
        core = whole[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        yield core
        yield core.replace("+", "-").replace("/", "_")
