"""The tables. Their history is in `migrations/`; a test holds the two together.

All names start with `fester_`, so that a PostgreSQL database can be shared. What strangers wrote
stands in JSON text or in packed bytes only: JSON escapes NUL and lone surrogates, which
PostgreSQL's text cannot hold.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION_TABLE = "fester_version"

metadata = MetaData()

# SQLite numbers rows by itself only in a column that is exactly INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")


def _source_column(*, key: bool) -> Column[int]:
    owner = ForeignKey("fester_sources.id", ondelete="CASCADE")
    return Column("source_id", _Number, owner, primary_key=key, nullable=False, autoincrement=False)


sources = Table(
    "fester_sources",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("catalog_made_at", String(40), nullable=False, server_default=""),
    Column("passes", BigInteger, nullable=False, server_default="0"),
    Column("horizon", Text, nullable=False, server_default="{}"),  # JSON
    Column("identity", String(32), nullable=False, server_default=""),  # "": not published yet
    Column("fence", BigInteger, nullable=False, server_default="0"),  # grows with each publish
)

projects = Table(
    "fester_projects",
    metadata,
    _source_column(key=True),
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("read_at", String(40), nullable=False),
    Column("gap_since", String(40), nullable=False),
    Column("body", Text, nullable=False),  # the project and the gap's reason, as JSON
)

# No foreign key to projects: a manifest may be remembered longer than its project's row.
manifests = Table(
    "fester_manifests",
    metadata,
    _source_column(key=True),
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("file", Text, primary_key=True),
    Column("oid", Text, nullable=False),
    Column("good_oid", Text, nullable=False),
    Column("held_since", String(40), nullable=False),
    Column("broken_since", String(40), nullable=False),
    Column("current", Text, nullable=False),  # a translation as JSON
    Column("good", Text, nullable=True),  # the same
)

passes = Table(
    "fester_passes",
    metadata,
    Column("id", _Number, primary_key=True),
    _source_column(key=False),
    Column("saved_at", String(40), nullable=False),
    Column("outcome", String(40), nullable=False),
    Column("report", LargeBinary, nullable=False),  # packed JSON
    Index("fester_passes_by_source", "source_id", "id"),
)

# A catalog is cut into slices, so that reading 20,000 entities never holds all their JSON at once.
catalog_slices = Table(
    "fester_catalog_slices",
    metadata,
    _source_column(key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),  # packed JSON
)

# What a replica's webhooks told it, for the replica that leads.
hints = Table(
    "fester_hints",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("source", Text, nullable=False),
    Column("project_id", BigInteger, nullable=False),
    Column("group_path", Text, nullable=False),
    UniqueConstraint("source", "project_id", "group_path", name="fester_hints_once"),
)

# The latest reading of an entity by a retriever. Its key is most of a row's size: no second copy.
facts = Table(
    "fester_facts",
    metadata,
    _source_column(key=True),
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
    _source_column(key=True),
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
    _source_column(key=True),
    Column("version", String(32), primary_key=True),
    Column("checks", Text, nullable=False),  # JSON: weights by check
)

# The latest scoreboard without its scores, packed.
boards = Table(
    "fester_boards",
    metadata,
    _source_column(key=True),
    Column("made_at", String(40), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# The latest score of every entity; `mark` is what its last day in history holds.
scores = Table(
    "fester_scores",
    metadata,
    _source_column(key=True),
    Column("entity", String(600), primary_key=True),
    Column("mark", Text, nullable=False),
    Column("digest", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),  # packed JSON
)

# A row for a day on which something changed; it stands until the next one. Days are ordinals.
score_days = Table(
    "fester_score_days",
    metadata,
    _source_column(key=True),
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
    _source_column(key=True),
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

leases = Table(
    "fester_leases",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("fence", BigInteger, nullable=False),
)

# What remediation knows of each service's checks, and each issue of ours.
remediation_streaks = Table(
    "fester_remediation_streaks",
    metadata,
    _source_column(key=True),
    Column("entity", Text, primary_key=True),
    Column("body", Text, nullable=False),  # JSON
)

remediation_cases = Table(
    "fester_remediation_cases",
    metadata,
    _source_column(key=True),
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entity", Text, primary_key=True),
    Column("check_id", Text, primary_key=True),
    Column("body", Text, nullable=False),  # JSON
)

remediation_runs = Table(
    "fester_remediation_runs",
    metadata,
    Column("id", _Number, primary_key=True),
    _source_column(key=False),
    Column("body", LargeBinary, nullable=False),  # packed JSON
    Index("fester_remediation_runs_by_source", "source_id", "id"),
)

# What a weekly digest compares with, and to whom it was sent.
digests = Table(
    "fester_digests",
    metadata,
    _source_column(key=True),
    Column("week", String(10), primary_key=True),  # ISO, "2026-W48"
    Column("body", LargeBinary, nullable=False),  # packed JSON
    Column("sent", Text, nullable=False),  # the teams, as a JSON list
)
