"""What Ox did and would do about deficiencies, and what it told whom, over HTTP."""

from bridge.api.remediation.book import NoRemediation, RemediationBook
from bridge.api.remediation.notices import Notices
from bridge.api.remediation.routes import Remediation

__all__ = ["NoRemediation", "Notices", "Remediation", "RemediationBook"]
