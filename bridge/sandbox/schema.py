"""The part of GitLab's GraphQL schema that a catalog crawler can use, under GitLab's own names."""

from __future__ import annotations

from typing import Final

from graphql import GraphQLSchema, build_schema

from bridge.sandbox import guards_schema, people

SDL: Final = """
scalar Time
scalar BigInt
scalar ProjectID

enum NamespaceProjectSort { ACTIVITY_DESC ID_ASC ID_DESC PATH_ASC PATH_DESC SIMILARITY }
enum PipelineStatusEnum {
  CANCELED CANCELING CREATED FAILED MANUAL PENDING PREPARING RUNNING SCHEDULED SKIPPED SUCCESS
  WAITING_FOR_CALLBACK WAITING_FOR_RESOURCE
}
enum RefType { HEADS TAGS }
enum ReleaseSort { CREATED_ASC CREATED_DESC RELEASED_AT_ASC RELEASED_AT_DESC }

type Query {
  currentUser: CurrentUser
  group(fullPath: ID!): Group
  metadata: Metadata
  project(fullPath: ID!): Project
  projects(
    after: String, archived: String, before: String, first: Int, fullPaths: [String!], ids: [ID!],
    last: Int, membership: Boolean, search: String, searchNamespaces: Boolean,
    sort: String = "id_desc", topics: [String!], visibilityLevel: String, withIssuesEnabled: Boolean
  ): ProjectConnection
  queryComplexity: QueryComplexity
}

type QueryComplexity { limit: Int score: Int }
type Metadata { enterprise: Boolean! revision: String! version: String! }
type CurrentUser { id: ID! name: String! username: String! bot: Boolean! }

type PageInfo {
  endCursor: String hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String
}

type Namespace {
  fullName: String! fullPath: ID! id: ID! name: String! path: String! visibility: String
}

type Group {
  archived: Boolean!
  description: String
  fullName: String!
  fullPath: ID!
  id: ID!
  name: String!
  path: String!
  projects(
    after: String, before: String, first: Int, ids: [ID!], includeArchived: Boolean = true,
    includeSubgroups: Boolean = false, last: Int, search: String, sort: NamespaceProjectSort
  ): ProjectConnection!
  webUrl: String!
}

type ProjectConnection {
  count: Int!
  edges: [ProjectEdge]
  nodes: [Project]
  pageInfo: PageInfo!
}
type ProjectEdge { cursor: String! node: Project }

type Project {
  archived: Boolean
  ciConfigPathOrDefault: String!
  createdAt: Time
  description: String
  forksCount: Int!
  fullPath: ID!
  group: Group
  httpUrlToRepo: String
  id: ID!
  isForked: Boolean
  languages: [RepositoryLanguage!]
  lastActivityAt: Time
  markedForDeletion: Boolean
  markedForDeletionOn: Time
  name: String!
  nameWithNamespace: String!
  namespace: Namespace
  onlyAllowMergeIfPipelineSucceeds: Boolean
  openIssuesCount: Int
  openMergeRequestsCount: Int
  path: String!
  pipeline(id: ID, iid: ID, sha: String): Pipeline
  pipelines(
    after: String, before: String, first: Int, last: Int, ref: String, status: PipelineStatusEnum
  ): PipelineConnection
  releases(
    after: String, before: String, first: Int, last: Int, sort: ReleaseSort = RELEASED_AT_DESC
  ): ReleaseConnection
  repository: Repository
  sshUrlToRepo: String
  starCount: Int!
  topics: [String!]
  updatedAt: Time
  visibility: String
  webUrl: String
}

type RepositoryLanguage { color: String name: String! share: Float }
type Pipeline {
  createdAt: Time! id: ID! iid: String! ref: String sha: String status: PipelineStatusEnum!
}
type PipelineConnection { count: Int! nodes: [Pipeline] pageInfo: PageInfo! }
type Release {
  createdAt: Time name: String releasedAt: Time tagName: String upcomingRelease: Boolean
}
type ReleaseConnection { count: Int! nodes: [Release] pageInfo: PageInfo! }

type Repository {
  blobs(
    after: String, before: String, first: Int, last: Int, paths: [String!]!, ref: String,
    refType: RefType
  ): RepositoryBlobConnection
  diskPath: String
  empty: Boolean!
  exists: Boolean!
  rootRef: String
  tree(path: String = "", recursive: Boolean = false, ref: String, refType: RefType): Tree
}
type Tree {
  blobs(after: String, before: String, first: Int, last: Int): BlobConnection!
  lastCommit: Commit
  trees(after: String, before: String, first: Int, last: Int): TreeEntryConnection!
}
type TreeEntryConnection { nodes: [TreeEntry] pageInfo: PageInfo! }
type TreeEntry { flatPath: String! id: ID! name: String! path: String! }
type BlobConnection { nodes: [Blob] pageInfo: PageInfo! }
type Blob { flatPath: String! id: ID! lfsOid: String mode: String name: String! path: String! }
type Commit { authoredDate: Time id: ID! sha: String! }
type RepositoryBlobConnection { nodes: [RepositoryBlob] pageInfo: PageInfo! }
type RepositoryBlob {
  fileType: String
  id: ID!
  lfsOid: String
  mode: String
  name: String
  oid: String!
  path: String!
  rawPath: String
  rawSize: BigInt
  rawTextBlob: String
  size: BigInt
  webPath: String
}
"""

SCHEMA: Final[GraphQLSchema] = build_schema(SDL + guards_schema.SDL + people.SDL)

# Fields behind a resolver class: they cost by their arguments instead of a flat one.
RESOLVED: Final = (
    guards_schema.RESOLVED
    | people.RESOLVED
    | frozenset(
        {
            "Query.projects",
            "Query.project",
            "Query.group",
            "Query.metadata",
            "Group.projects",
            "Project.pipeline",
            "Project.pipelines",
            "Project.releases",
            "Repository.blobs",
            "Repository.tree",
        }
    )
)
GITALY: Final = frozenset(
    {
        "Project.forksCount",
        "Project.languages",
        "Repository.blobs",
        "Repository.empty",
        "Repository.rootRef",
        "Repository.tree",
        "Tree.blobs",
        "Tree.trees",
    }
)
# Fields whose price is written beside them, whatever they take.
FIXED: Final = {"Tree.lastCommit": 10}
# What a GitLab 16.3 does not know of the fields above.
UNKNOWN_TO_16_3: Final = frozenset(
    {
        "Group.archived",
        "Project.isForked",
        "Project.markedForDeletion",
        "Project.markedForDeletionOn",
        "Project.openMergeRequestsCount",
        "Project.updatedAt",
    }
)
# Fields that make GitLab load a blob's content, not just its entry in the tree.
TEXT: Final = frozenset({"rawTextBlob"})
