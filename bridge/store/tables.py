"""The tables; those of Ox are in `ox_tables`. Their history is in `migrations/`; a test holds both.

All names start with `fester_`, so that a PostgreSQL database can be shared. What strangers wrote
stands in JSON text or in packed bytes only: JSON escapes NUL and lone surrogates, which
PostgreSQL's text cannot hold.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
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
Number = BigInteger().with_variant(Integer, "sqlite")
# References and paths, in the order of their bytes whatever the database's language is.
Ref = String(600).with_variant(String(600, collation="C"), "postgresql")


def source_column(*, key: bool) -> Column[int]:
    """The number of the source that a row is of, and with which it goes."""
    owner = ForeignKey("fester_sources.id", ondelete="CASCADE")
    return Column("source_id", Number, owner, primary_key=key, nullable=False, autoincrement=False)


sources = Table(
    "fester_sources",
    metadata,
    Column("id", Number, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("passes", BigInteger, nullable=False, server_default="0"),
    Column("horizon", Text, nullable=False, server_default="{}"),  # JSON
    Column("identity", String(32), nullable=False, server_default=""),  # "": not published yet
    Column("fence", BigInteger, nullable=False, server_default="0"),  # grows with each publish
    Column("edition", BigInteger, nullable=False, server_default="0"),  # of every write
    Column("figures", Text, nullable=False, server_default="{}"),  # JSON: counts of what is known
    Column("rules", String(40), nullable=False, server_default=""),  # what statements are made by
    Column("teams_elsewhere", Text, nullable=False, server_default=""),  # JSON, of Backstage
    Column("group_defaults", Text, nullable=False, server_default=""),  # JSON, as read last
)

projects = Table(
    "fester_projects",
    metadata,
    source_column(key=True),
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("read_at", String(40), nullable=False),
    Column("gap_since", String(40), nullable=False),
    Column("body", Text, nullable=False),  # the project and the gap's reason, as JSON
    Column("path", Text, nullable=False, server_default=""),  # in lower case, for groups
    Index("fester_projects_by_gap", "source_id", "gap_since"),
)

# No foreign key to projects: a manifest may be remembered longer than its project's row.
manifests = Table(
    "fester_manifests",
    metadata,
    source_column(key=True),
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("file", Text, primary_key=True),
    Column("oid", Text, nullable=False),
    Column("good_oid", Text, nullable=False),
    Column("held_since", String(40), nullable=False),
    Column("broken_since", String(40), nullable=False),
    Column("current", Text, nullable=False),  # a translation as JSON
    Column("good", Text, nullable=True),  # the same
    Column("fingerprint", Text, nullable=False, server_default=""),  # of the current translation
)

# What manifests say of entities, a row for each that says something of a reference.
statements = Table(
    "fester_statements",
    metadata,
    source_column(key=True),
    Column("ref", Ref, primary_key=True),
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("file", Text, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),  # which of the manifest's drafts
    Column("digest", String(32), nullable=False),  # of the body
    Column("oid", Text, nullable=False),
    Column("line", Integer, nullable=False),
    Column("col", Integer, nullable=False),
    Column("places", Text, nullable=False),  # JSON: where references are written
    Column("body", Text, nullable=False),  # JSON
    Index("fester_statements_by_project", "source_id", "project_id"),
    sqlite_with_rowid=False,
)

# The entities that were made of them. `place` is 40 bits as text: a shard is all that begin alike.
entities = Table(
    "fester_entities",
    metadata,
    source_column(key=True),
    Column("ref", Ref, primary_key=True),
    Column("mirror", Ref, nullable=False),  # the kind, and the rest backwards
    Column("place", String(40), nullable=False),
    Column("digest", String(32), nullable=False),  # of the entity as it was merged
    Column("shown", String(32), nullable=False),  # and as it is with its references put right
    Column("body", Text, nullable=False),  # JSON, with the origins
    Column("merged", Text, nullable=True),  # the body as it was merged, if that is another one
    Index("fester_entities_by_mirror", "source_id", "mirror"),
    Index("fester_entities_by_place", "source_id", "place"),
)

# Where entities point: also at what is not there.
targets = Table(
    "fester_targets",
    metadata,
    source_column(key=True),
    Column("ref", Ref, primary_key=True),
    Column("target", Ref, primary_key=True),
    Column("spelt", Ref, nullable=False),  # the target in the one spelling of all
    Index("fester_targets_by_spelling", "source_id", "spelt"),
    sqlite_with_rowid=False,
)

# The names that entities go by besides their own; the lowest rank counts.
names = Table(
    "fester_names",
    metadata,
    source_column(key=True),
    Column("ref", Ref, primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("name", Ref, primary_key=True),
    Index("fester_names_by_name", "source_id", "name"),
    sqlite_with_rowid=False,
)

# What is left to do: references to merge, entities to remove or to check, places to render.
stale = Table(
    "fester_stale",
    metadata,
    source_column(key=True),
    Column("stage", String(10), primary_key=True),
    Column("item", Ref, primary_key=True),
    sqlite_with_rowid=False,
)

# What is wrong as things stand, by what it is about: a manifest, a project, an entity, its links.
problems = Table(
    "fester_problems",
    metadata,
    source_column(key=True),
    Column("about", Text, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),  # JSON
    sqlite_with_rowid=False,
)

# The published files as they are to be.
files = Table(
    "fester_files",
    metadata,
    source_column(key=True),
    Column("path", Ref, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("content_type", Text, nullable=False),
    Column("stage", String(20), nullable=False),
    Column("entities", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # compressed
)

# What was read of a repository besides its manifests: at which commit, and for what.
reads = Table(
    "fester_reads",
    metadata,
    source_column(key=True),
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tip", String(64), nullable=False),  # a commit
    Column("key", String(64), nullable=False),  # names what was wanted
    Column("body", LargeBinary, nullable=False),  # packed JSON: a list of files
)

# The texts of it, by the ids that git gives them.
blobs = Table(
    "fester_blobs",
    metadata,
    source_column(key=True),
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("oid", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),  # compressed
    Index("fester_blobs_by_oid", "source_id", "oid"),
)

passes = Table(
    "fester_passes",
    metadata,
    Column("id", Number, primary_key=True),
    source_column(key=False),
    Column("saved_at", String(40), nullable=False),
    Column("outcome", String(40), nullable=False),
    Column("report", LargeBinary, nullable=False),  # packed JSON
    Index("fester_passes_by_source", "source_id", "id"),
)

# What a replica's webhooks told it, for the replica that leads.
hints = Table(
    "fester_hints",
    metadata,
    Column("id", Number, primary_key=True),
    Column("source", Text, nullable=False),
    Column("project_id", BigInteger, nullable=False),
    Column("group_path", Text, nullable=False),
    UniqueConstraint("source", "project_id", "group_path", name="fester_hints_once"),
)

leases = Table(
    "fester_leases",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("fence", BigInteger, nullable=False),
)

# What is left of what each token may ask of a GitLab, for all that ask with it.
rates = Table(
    "fester_rates",
    metadata,
    Column("name", String(80), primary_key=True),  # a digest of GitLab and token, and what counts
    Column("body", Text, nullable=False),  # JSON
)

# What several processes read of a source, or merge of a catalog, and its parts.
sweeps = Table(
    "fester_sweeps",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # drawn: never used again
    source_column(key=False),
    Column("reading", String(60), nullable=False),  # the name of the GitLab
    Column("began", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("told", Text, nullable=False),  # JSON, as `SweepPlan.told`
    Column("listed", Integer, nullable=False),  # 1: all parts are there
    Column("task", String(10), nullable=False),  # as `Task`
    Column("rules", String(60), nullable=False),  # by which it is done, where that is not to read
    Column("edition", BigInteger, nullable=False),  # in which it is done
    Index("fester_sweeps_by_source", "source_id", "reading"),
)

parts = Table(
    "fester_parts",
    metadata,
    Column(
        "sweep_id",
        BigInteger,
        ForeignKey("fester_sweeps.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("projects", LargeBinary, nullable=False),  # packed JSON; or what else it is of
    Column("count", Integer, nullable=False),  # of them
    Column("state", String(10), nullable=False),
    Column("fence", Integer, nullable=False),  # how often it was begun
    Column("worker", Text, nullable=False),  # JSON: who began it last
    Column("reason", Text, nullable=False),  # JSON: why it failed last
    Column("found", LargeBinary, nullable=True),  # packed JSON, until it is taken in
    Column("taken", Integer, nullable=False),  # 1: taken in
    Index("fester_parts_by_state", "sweep_id", "state"),
)

# How entities were before the pass under way changed them; no body: they were not there.
before = Table(
    "fester_before",
    metadata,
    source_column(key=True),
    Column("ref", Ref, primary_key=True),
    Column("body", Text, nullable=True),  # as that of an entity
)

# What became of entities. `about` are owners and projects, to look for.
entity_changes = Table(
    "fester_entity_changes",
    metadata,
    Column("id", Number, primary_key=True),
    source_column(key=False),
    Column("at", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("ref", Ref, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("about", Text, nullable=False),  # JSON
    Column("body", Text, nullable=False),  # JSON
    Index("fester_entity_changes_by_ref", "source_id", "ref"),
    Index("fester_entity_changes_by_time", "source_id", "at"),
    sqlite_autoincrement=True,  # a number is never used again: receivers remember the last one
)

# How far each receiver of changes has been told.
receivers = Table(
    "fester_receivers",
    metadata,
    source_column(key=True),
    Column("name", String(40), primary_key=True),
    Column("cursor", BigInteger, nullable=False),  # a change's number, as `sending` is
    Column("sending", BigInteger, nullable=False),  # 0: nothing is on its way
    Column("tries", Integer, nullable=False),  # that failed in a row
    Column("next_at", BigInteger, nullable=True),  # microseconds since 1970, UTC, as the others
    Column("failing_since", BigInteger, nullable=True),
    Column("delivered_at", BigInteger, nullable=True),
    Column("reason", Text, nullable=False),
    Column("told_until", BigInteger, nullable=True),
)

# What is known of a source and was made of it; passes need no more.
MODEL = (
    projects,
    manifests,
    statements,
    entities,
    targets,
    names,
    stale,
    problems,
    files,
    reads,
    blobs,
    passes,
)
