"""requests, with the same trust as everything else: for python-gitlab and Google's client."""

from __future__ import annotations

import ssl
from typing import Any

import requests
from requests.adapters import HTTPAdapter


class TrustingAdapter(HTTPAdapter):
    """Verifies by a context of ours alone; requests itself would add its own bundle."""

    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:
        self._context = context
        super().__init__(**options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """As the original, with our context."""
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """As the original, with our context, also for a proxy that speaks TLS."""
        options |= {"ssl_context": self._context, "proxy_ssl_context": self._context}
        return super().proxy_manager_for(proxy, **options)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """As the original when nothing is said of a bundle."""
        return super().build_connection_pool_key_attributes(request, True, cert)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing to add: the context knows whom to trust."""
        conn.cert_reqs = "CERT_REQUIRED"


def certificate_error(error: BaseException) -> BaseException:
    """The error of TLS itself, which requests and urllib3 wrap; else what there is."""
    for _ in range(10):
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        reason = getattr(error, "reason", None)
        inside = [reason, *error.args, error.__cause__, error.__context__]
        following = next((each for each in inside if isinstance(each, BaseException)), None)
        if following is None:
            break
        error = following
    return error
