"""A GitLab to try Fester against: REST v4, GraphQL and hooks, with GitLab's unpleasant side."""
