"""The part of GitLab's GraphQL schema that tells how projects are guarded and kept."""

from __future__ import annotations

from typing import Final

SDL: Final = """
enum ApprovalRuleType { ANY_APPROVER CODE_OWNER REGULAR REPORT_APPROVER }
enum IssueType { EPIC INCIDENT ISSUE KEY_RESULT OBJECTIVE REQUIREMENT TASK TEST_CASE TICKET }
enum IssuableState { all closed locked opened }
enum IssueSort { CREATED_ASC CREATED_DESC created_desc }
enum MergeRequestState { all closed locked merged opened }
enum MergeRequestSort { CREATED_ASC CREATED_DESC created_desc }
enum VulnerabilityState { CONFIRMED DETECTED DISMISSED RESOLVED }
enum DoraMetricType {
  CHANGE_FAILURE_RATE DEPLOYMENT_FREQUENCY LEAD_TIME_FOR_CHANGES TIME_TO_RESTORE_SERVICE
}
enum DoraMetricBucketingInterval { ALL DAILY MONTHLY }

type ProjectPermissions { adminProject: Boolean! }
type AvailableFeatures { hasIssueWeightsFeature: Boolean! }
type BranchProtection { allowForcePush: Boolean! codeOwnerApprovalRequired: Boolean! }
type ApprovalProjectRule { approvalsRequired: Int id: ID! name: String type: ApprovalRuleType }
type ApprovalProjectRuleConnection { nodes: [ApprovalProjectRule] pageInfo: PageInfo! }
type BranchRule {
  approvalRules(
    after: String, before: String, first: Int, last: Int
  ): ApprovalProjectRuleConnection
  branchProtection: BranchProtection
  id: ID
  isDefault: Boolean!
  isProtected: Boolean!
  name: String!
}
type BranchRuleConnection { nodes: [BranchRule] pageInfo: PageInfo! }
type CountedConnection { count: Int! }
type MergeRequest { createdAt: Time! sourceBranch: String! }
type MergeRequestConnection { count: Int! nodes: [MergeRequest] pageInfo: PageInfo! }
type ProjectStatistics { commitCount: Float! repositorySize: Float! }
type PushRules { preventSecrets: Boolean! rejectUnsignedCommits: Boolean! }
type VulnerabilitySeveritiesCount { critical: Int high: Int low: Int medium: Int }
type Dora {
  metrics(interval: DoraMetricBucketingInterval = DAILY, metric: DoraMetricType!): [DoraMetric!]
}
type DoraMetric { date: String value: Float }

extend type Namespace { availableFeatures: AvailableFeatures }
extend type Project {
  branchRules(after: String, before: String, first: Int, last: Int): BranchRuleConnection
  containerRepositoriesCount: Int!
  dora: Dora
  isCatalogResource: Boolean
  issues(
    after: String, before: String, first: Int, last: Int, sort: IssueSort = CREATED_DESC,
    state: IssuableState, types: [IssueType!]
  ): CountedConnection
  mergeRequests(
    after: String, before: String, createdBefore: Time, first: Int, last: Int,
    sort: MergeRequestSort = CREATED_DESC, state: MergeRequestState, updatedBefore: Time
  ): MergeRequestConnection
  onlyAllowMergeIfAllDiscussionsAreResolved: Boolean
  pushRules: PushRules
  removeSourceBranchAfterMerge: Boolean
  statistics: ProjectStatistics
  userPermissions: ProjectPermissions!
  vulnerabilitySeveritiesCount(state: [VulnerabilityState!]): VulnerabilitySeveritiesCount
}
"""

RESOLVED: Final = frozenset(
    {
        "Project.branchRules",
        "Project.issues",
        "Project.mergeRequests",
        "Project.vulnerabilitySeveritiesCount",
        "BranchRule.approvalRules",
        "Dora.metrics",
    }
)
# Code that the community edition does not have: an unknown field refuses the whole query.
ENTERPRISE: Final = frozenset(
    {
        "BranchProtection.codeOwnerApprovalRequired",
        "BranchRule.approvalRules",
        "Project.dora",
        "Project.pushRules",
        "Project.vulnerabilitySeveritiesCount",
    }
)
