"""What a secret is: trimmed or refused, read anew from its file, and never shown."""
