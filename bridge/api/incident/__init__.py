"""`/api/incident/…`, its page, and Slack's slash command: one answer, several faces."""

from bridge.api.incident.routes import KNOWLEDGE, routes
from bridge.api.incident.slack import SlackCommand

__all__ = ["KNOWLEDGE", "SlackCommand", "routes"]
