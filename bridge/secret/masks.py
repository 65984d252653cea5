"""The one place that knows every secret in force, and takes each out of what people get to see.

Whatever a library says of its failure may quote a token: in a header, in a URL, as a `repr`, in
base64, base32 or hexadecimal digits. So every error, problem and log line of ours passes through
`masked`, and nothing else has to know which text of which library may be shown.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK: Final = "***"
# A word of a few letters may be a secret and part of many words: it is one by itself only.
_SHORT: Final = 8
_TINY: Final = 4
_PATH_OF_A_URL: Final = 12
_HEAD: Final = 256  # bytes of a long secret by which its encoded forms are known
_URL_SAFE: Final = str.maketrans("+/", "-_")


class Masks:
    """Secrets, and a pattern for everything that shows one of them."""

    def __init__(self) -> None:
        self._secrets: Counter[str] = Counter()
        self._hints: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None

    def __repr__(self) -> str:
        return f"Masks({len(self._secrets)} secrets)"

    def replace(self, secrets: Iterable[str]) -> None:
        """From now on mask these and no others."""
        self._secrets = Counter(secrets)
        self._prepare()

    def add(self, secret: str) -> None:
        """Mask this one, too; what was masked before stays so, for old logs speak of it."""
        self._secrets[secret] += 1
        if self._secrets[secret] == 1:
            self._prepare()

    def forget(self, secret: str) -> None:
        """Undo one `add`: once nobody else has added it, it is not masked any longer."""
        self._secrets[secret] -= 1
        if self._secrets[secret] <= 0:
            del self._secrets[secret]
            self._prepare()

    def _prepare(self) -> None:
        parts = set(_parts(self._secrets))
        forms = {form: pattern for part in parts for form, pattern in _forms(part)}
        ordered = sorted(forms, key=len, reverse=True)  # else a part would leave the rest to see
        self._hints = tuple(ordered)
        self._pattern = re.compile("|".join(forms[form] for form in ordered)) if ordered else None

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
        yield from _encoded(raw)


@dataclass(frozen=True, slots=True)
class _Encoding:
    """An encoding of bytes: `size` of them make whole characters, each of which holds `bits`."""

    encode: Callable[[bytes], bytes]
    size: int
    bits: int
    alphabet: str
    variants: Callable[[str], Iterable[str]]


# https://www.rfc-editor.org/rfc/rfc4648
_ENCODINGS: Final = (
    _Encoding(
        base64.b64encode,
        size=3,
        bits=6,
        alphabet="[A-Za-z0-9+/_%-]",
        variants=lambda text: (text, quote(text, safe=""), text.translate(_URL_SAFE)),
    ),
    _Encoding(
        base64.b32encode,
        size=5,
        bits=5,
        alphabet="[A-Za-z2-7]",
        variants=lambda text: (text, text.lower()),
    ),
    _Encoding(
        base64.b16encode,
        size=1,
        bits=4,
        alphabet="[A-Fa-f0-9]",
        variants=lambda text: (text, text.lower()),
    ),
)


def _encoded(secret: bytes) -> Iterator[tuple[str, str]]:
    """What encodings make of a secret wherever it stands in a text, padded or not.

    Of a long one the beginning is looked for, and all that follows it is hidden, too: else each of
    the forms would be as long as the secret, and there are many.
    """
    head = secret[:_HEAD]
    for each in _ENCODINGS:
        rest = f"{each.alphabet}*" if len(head) < len(secret) else ""
        for before in range(each.size):
            whole = each.encode(b"\0" * before + head).decode()
            # The first and the last characters hold bits of what stands beside the secret.
            core = whole[-(-before * 8 // each.bits) : (before + len(head)) * 8 // each.bits]
            for text in each.variants(core):
                yield text, re.escape(text) + rest
