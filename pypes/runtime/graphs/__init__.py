"""The graphs of a node: what is deployed and how that changes, drafts, versions, and where they are stored."""
