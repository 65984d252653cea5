"""Whose certificates are trusted: the same for every neighbour, whichever library asks it.

Trusted are the machine's own roots and the usual public ones, or instead of both what the variables
`SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` and `CURL_CA_BUNDLE` name; and in any case the CA of the
setting `ca_file`.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import certifi

from bridge.errors import ConfigurationError
from bridge.model.problems import Problem

# What OpenSSL, requests and curl read: each library knows only its own.
VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def trust(
    ca_file: Path | None = None, environment: Mapping[str, str] | None = None
) -> ssl.SSLContext:
    """What verifies a neighbour's certificate and name.

    Raises `ConfigurationError` for a file, named by the setting or a variable, that holds no
    certificates.
    """
    environment = os.environ if environment is None else environment
    named = tuple((name, path) for name in VARIABLES if (path := environment.get(name, "").strip()))
    return _context(ca_file, named)


@lru_cache(maxsize=8)
def _context(ca_file: Path | None, named: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    problems = [
        problem for name, path in named if (problem := _load(context, Path(path), name)) is not None
    ]
    if not named:
        context.load_default_certs()
        context.load_verify_locations(certifi.where())
    if ca_file is not None and (problem := _load(context, ca_file, "ca_file")):
        problems.append(problem)
    if problems:
        raise ConfigurationError(problems)
    return context


def _load(context: ssl.SSLContext, path: Path, name: str) -> Problem | None:
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        reason = "it holds no certificates (PEM, which begins with -----BEGIN CERTIFICATE-----)"
    except OSError as error:
        reason = f"it cannot be read: {error.strerror or type(error).__name__}"
    else:
        return None
    return Problem(f"`{name}` names {path}: {reason}", "ca-unusable")
