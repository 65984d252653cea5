"""What Ox did and would do about deficiencies, over HTTP."""

from bridge.api.remediation.routes import NoRemediation, Remediation, RemediationBook

__all__ = ["NoRemediation", "Remediation", "RemediationBook"]
