"""Who may ask: static tokens by their hashes, Backstage's own tokens by its public keys."""
