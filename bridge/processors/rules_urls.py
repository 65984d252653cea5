"""Which texts are URLs to Backstage: those that JavaScript's `new URL(text)` takes.

https://url.spec.whatwg.org. Nothing here or elsewhere ever fetches one.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

_PLAIN_URL = re.compile(r"https?://[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*(?:[/?#]|\Z)")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)\Z", re.DOTALL)
_NOT_IN_HOST = re.compile(r"[\x00-\x20#/<>?@\[\\\]^|%\x7f:]")
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)\Z")
_PORT = re.compile(r"0{0,20}[0-9]{1,5}\Z")
_HOST_LIMIT: Final = 253
_SPECIAL: Final = frozenset(("http", "https", "ftp", "ws", "wss"))


def is_url(text: str) -> bool:
    """Whether `new URL(text)` takes it (https://url.spec.whatwg.org), in doubt rather not."""
    if _PLAIN_URL.match(text) and "xn--" not in text:
        return True
    split = _URL.match(text.strip())
    if not split:
        return False
    scheme, rest = split[1].lower(), split[2]
    if scheme in _SPECIAL:
        authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0]
        return _is_authority(authority, needs_host=True)
    if not rest.startswith("//"):
        return True
    authority = re.split(r"[/?#]", rest[2:], maxsplit=1)[0]
    return scheme == "file" or _is_authority(authority, needs_host=False)


def _is_authority(authority: str, *, needs_host: bool) -> bool:
    host = authority.rpartition("@")[2]
    name, colon, port = host.rpartition(":")
    if host.endswith("]") or not colon:
        name, port = host, ""
    if port and not (_PORT.match(port) and int(port) <= 65535):
        return False
    if not name:
        return not needs_host and not port
    if name.startswith("["):
        return name.endswith("]") and _is_ipv6(name[1:-1])
    if _NOT_IN_HOST.search(name):
        return False
    return not needs_host or _is_domain(name)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return "%" not in text


def _is_domain(name: str) -> bool:
    """A host name; one that ends in a number has to be an IPv4 address, `127.1` included."""
    labels = name.removesuffix(".").split(".")
    if not _NUMBER.match(labels[-1]):
        if name.isascii() and "xn--" not in name.lower():
            return True
        return _is_international(name)
    if len(labels) > 4 or not all(len(x) <= 12 and _NUMBER.match(x) for x in labels):
        return False
    try:
        numbers = [_ipv4_number(label) for label in labels]
    except ValueError:
        return False
    return all(x < 256 for x in numbers[:-1]) and numbers[-1] < 256 ** (5 - len(numbers))


def _is_international(name: str) -> bool:
    if len(name) > _HOST_LIMIT:  # the codec is slow on long texts
        return False
    try:
        return bool(name.encode("idna").decode("idna"))
    except UnicodeError:
        return False


def _ipv4_number(label: str) -> int:
    if label[:2] in ("0x", "0X"):
        return int(label[2:] or "0", 16)
    return int(label, 8 if len(label) > 1 and label[0] == "0" else 10)
