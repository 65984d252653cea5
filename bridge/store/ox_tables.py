"""The tables of what Ox knows: facts, scores, remediation and notices; see `tables`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from bridge.store.tables import Number, metadata, source_column

# The latest reading of an entity by a retriever. Its key is most of a row's size: no second copy.
facts = Table(
    "fester_facts",
    metadata,
    source_column(key=True),
    Column("entity", String(600), primary_key=True),
    Column("retriever", String(100), primary_key=True),
    Column("seen_at", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("digest", String(32), nullable=False),  # of everything but the time
    Column("body", LargeBinary, nullable=False),  # packed, see `fact_log`
    sqlite_with_rowid=False,
)

fact_history = Table(
    "fester_fact_history",
    metadata,
    source_column(key=True),
    Column("entity", String(600), primary_key=True),
    Column("retriever", String(100), primary_key=True),
    Column("segment", Integer, primary_key=True, autoincrement=False),  # of 63 days since 1970
    Column("thinned", Integer, nullable=False),  # 1 when it holds fewer readings than were kept
    Column("body", LargeBinary, nullable=False),  # packed, see `fact_log`
    sqlite_with_rowid=False,
)

# What every version of the rubric weighed: the states in history stand in the order of its checks.
rubrics = Table(
    "fester_rubrics",
    metadata,
    source_column(key=True),
    Column("version", String(32), primary_key=True),
    Column("checks", Text, nullable=False),  # JSON: weights by check
)

# The latest scoreboard without its scores, packed.
boards = Table(
    "fester_boards",
    metadata,
    source_column(key=True),
    Column("made_at", String(40), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# The latest score of every entity; `mark` is what its last day in history holds.
scores = Table(
    "fester_scores",
    metadata,
    source_column(key=True),
    Column("entity", String(600), primary_key=True),
    Column("mark", Text, nullable=False),
    Column("digest", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),  # packed JSON
)

# A row for a day on which something changed; it stands until the next one. Days are ordinals.
score_days = Table(
    "fester_score_days",
    metadata,
    source_column(key=True),
    Column("entity", String(600), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("value", Float, nullable=True),
    Column("coverage", Float, nullable=False),
    Column("sufficient", Integer, nullable=False),
    Column("level", String(100), nullable=False),
    Column("tier", Integer, nullable=True),
    Column("target", Float, nullable=True),
    Column("rubric", String(32), nullable=False),
    Column("states", String(200), nullable=False),  # a letter a check of that rubric
    Column("gone", Integer, nullable=False),
    sqlite_with_rowid=False,
)

rollup_days = Table(
    "fester_rollup_days",
    metadata,
    source_column(key=True),
    Column("kind", String(20), primary_key=True),
    Column("name", String(600), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("value", Float, nullable=True),
    Column("coverage", Float, nullable=False),
    Column("services", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Column("below_target", Integer, nullable=False),
    Column("levels", Text, nullable=False),  # JSON
    Column("gone", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# What remediation knows of each service's checks, and each issue of ours.
remediation_streaks = Table(
    "fester_remediation_streaks",
    metadata,
    source_column(key=True),
    Column("entity", Text, primary_key=True),
    Column("body", Text, nullable=False),  # JSON
)

remediation_cases = Table(
    "fester_remediation_cases",
    metadata,
    source_column(key=True),
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entity", Text, primary_key=True),
    Column("check_id", Text, primary_key=True),
    Column("body", Text, nullable=False),  # JSON
)

remediation_runs = Table(
    "fester_remediation_runs",
    metadata,
    Column("id", Number, primary_key=True),
    source_column(key=False),
    Column("body", LargeBinary, nullable=False),  # packed JSON
    Index("fester_remediation_runs_by_source", "source_id", "id"),
)

# What a weekly digest compares with, and to whom it was sent.
digests = Table(
    "fester_digests",
    metadata,
    source_column(key=True),
    Column("week", String(10), primary_key=True),  # ISO, "2026-W48"
    Column("body", LargeBinary, nullable=False),  # packed JSON
    Column("sent", Text, nullable=False),  # the teams, as a JSON list
)

# What teams are told, by each channel: the intent is written before it is sent.
notices = Table(
    "fester_notices",
    metadata,
    source_column(key=True),
    Column("key", String(32), primary_key=True),  # digest of the occasion
    Column("channel", String(20), primary_key=True),
    Column("team", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("made", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("at", BigInteger, nullable=False),  # the same, of its state
    Column("batch", String(32), nullable=False),  # the message that it went with
    Column("tries", Integer, nullable=False),  # how often it was refused
    Column("body", Text, nullable=False),  # JSON
    Index("fester_notices_by_state", "source_id", "state"),
)

notice_memory = Table(
    "fester_notice_memory",
    metadata,
    source_column(key=True),
    Column("body", LargeBinary, nullable=False),  # packed JSON
)

# How everything stood at the end of a day's last full pass. Days are ordinals.
censuses = Table(
    "fester_censuses",
    metadata,
    source_column(key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),  # packed JSON
)
