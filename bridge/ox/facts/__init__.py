"""Facts: collectors, pushed facts, and when each is due."""
