"""What we share in talking to systems that are not ours: trust, bounds, waiting, one client."""
