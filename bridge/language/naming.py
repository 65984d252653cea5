"""Turns what people write into names that Backstage takes: pure text functions.

Every function takes text and gives text, or None when nothing usable is left. Backstage's rules
for names, tags and labels are those of `@backstage/catalog-model` (`KubernetesValidatorFunctions`
and `CommonValidatorFunctions`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Final
from urllib.parse import quote

import ada_url

NAME_LIMIT: Final = 63
HASH_LENGTH: Final = 8
URL_LIMIT: Final = 2048

# Only these words before a colon make a text a reference; "db:mysql" stays a name.
REF_KINDS: Final = frozenset(
    {"component", "api", "resource", "system", "domain", "group", "user", "location", "template"}
)

_NOT_NAME = re.compile(r"[^a-z0-9_.]+")
_NOT_TAG = re.compile(r"[^a-z0-9:+#]+")
_NOT_LABEL = re.compile(r"[^A-Za-z0-9_.]+")
_SIGN = re.compile(r"(?<=[A-Za-z0-9])(?:#|\++)")
_GOOD_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?\Z")
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\ufeff]")

_WEB = re.compile(r"https?://", re.IGNORECASE)
_AUTHORITY = re.compile(r"[/\\?#]")

_TIERS: Final = {
    **{str(number): f"tier_{number}" for number in range(6)},
    **{
        word: f"tier_{number}"
        for number, word in enumerate(("zero", "one", "two", "three", "four", "five"))
    },
    "critical": "tier_1",
    "mission_critical": "tier_1",
    "high": "tier_1",
    "medium": "tier_2",
    "low": "tier_3",
}


def _folded(text: str) -> str:
    """The text in ASCII letters where Unicode knows how: "Café" gives "Cafe".

    "" when fewer than half of its letters are left.
    """
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    # "決済 2024" must not become "2024", nor "Команда 7" the same "7" as "Отдел 7".
    return plain if 2 * _letters(plain) >= _letters(text) else ""


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _cut(name: str, original: str, strip: str) -> str:
    """The name within the limit; a cut one ends with a hash of the whole, so that two differ."""
    if len(name) <= NAME_LIMIT:
        return name
    digest = hashlib.blake2b(original.encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{name[: NAME_LIMIT - HASH_LENGTH - 1].rstrip(strip)}-{digest}"


def _reference(text: str) -> tuple[str, str, str] | None:
    """(kind, namespace, name) of a text that starts with a kind that Backstage knows."""
    kind, colon, rest = text.partition(":")
    kind = kind.strip().lower()
    if not colon or kind not in REF_KINDS:
        return None
    namespace, slash, name = rest.rpartition("/")
    return kind, namespace if slash else "", name


def slug(text: str) -> str | None:
    """An entity's name: "Opslevel CLI" gives "opslevel-cli", "@org/name" gives "org-name".

    Lower case, at most 63 characters of `[a-z0-9_.-]`, a letter or digit at both ends. Of a
    reference ("group:default/payments") it is the name. None when no letter or digit is left, or
    fewer than half of the letters: what is left would name something else.
    """
    if len(text) <= NAME_LIMIT and _GOOD_NAME.match(text):
        return text
    parts = _reference(text)
    plain = _folded(parts[2] if parts else text).lower()
    return _cut(_NOT_NAME.sub("-", plain).strip("-_."), text, "-_.") or None


def tag(text: str) -> str | None:
    """A tag: "Order Management" gives "order-management", "db:mysql" stays; None when empty."""
    return _cut(_NOT_TAG.sub("-", _folded(text).lower()).strip("-"), text, "-") or None


def label(text: str) -> str | None:
    """A label's value: "C# / .NET" gives "Csharp-.NET"; letters keep their case; None when empty.

    `#` and `+` after a letter are spelt out, so that C, C# and C++ stay apart.
    """
    spelt = _SIGN.sub(lambda sign: "sharp" if sign[0] == "#" else "plus" * len(sign[0]), text)
    return _cut(_NOT_LABEL.sub("-", _folded(spelt)).strip("-_."), text, "-_.") or None


def ref(text: str, kind: str) -> str | None:
    """A reference: ref("Team A", "group") gives "group:default/team-a".

    A text that says its kind ("user:jane", "component:shop/cart") keeps kind and namespace. One
    that does not is a name, whatever it holds: "@org/team" gives "group:default/org-team".
    """
    namespace = "default"
    parts = _reference(text)
    if parts:
        kind, written, text = parts
        namespace = (slug(written) or "").replace("_", "-").replace(".", "-") or "default"
    name = slug(text)
    return f"{kind.lower()}:{namespace}/{name}" if name else None


def tier(text: str) -> str | None:
    """One spelling of a tier; None for a word that is not in the table.

    | written                                                    | gives           |
    |------------------------------------------------------------|-----------------|
    | 0 … 5, "zero" … "five", "tier_0" … "tier_5", "Tier 2", "t1" | tier_0 … tier_5 |
    | "critical", "mission_critical", "high"                     | tier_1          |
    | "medium"                                                   | tier_2          |
    | "low"                                                      | tier_3          |
    """
    word = re.sub(r"[\s_-]+", "_", text.strip().lower())
    word = re.sub(r"\A(?:tier_?|t(?=\d))", "", word)
    return _TIERS.get(word)


def web_url(text: str) -> str | None:
    """The text if it is an absolute http or https URL that a link may carry; else None.

    What a URL is, is told as browsers and Node tell it (https://url.spec.whatwg.org). Refuses
    spaces and control characters, a user name or password. Nothing here or elsewhere ever
    fetches it.
    """
    text = text.strip()
    return text if len(text) <= URL_LIMIT and _host(text) else None


@lru_cache(maxsize=2048)  # a mapping asks twice for each, and many manifests name the same
def _host(text: str) -> str:
    """The host of a text that `web_url` takes; "" of another one."""
    if _CONTROL.search(text) or not _WEB.match(text):
        return ""
    if "@" in _AUTHORITY.split(text[8:], maxsplit=1)[0]:
        return ""
    try:
        return str(ada_url.URL(text).host)
    except ValueError:
        return ""


def host(text: str) -> str | None:
    """The host of a web address, with its port if it says one: "https://h.example:8443/x" gives
    "h.example:8443"; None for what is no web address."""
    url = web_url(text)
    return _host(url) if url else None


def url_path(text: str) -> str | None:
    """A path within a repository, fit for a URL: "./docs/run book.md" gives "docs/run%20book.md".

    None for a path that is empty or climbs out ("../x").
    """
    parts = [part for part in text.strip().split("/") if part not in {"", "."}]
    if not parts or ".." in parts:
        return None
    return quote("/".join(parts), safe="/")
