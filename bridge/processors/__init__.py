"""From manifest texts to entities: reading, checking, mapping, aggregating; pure, no I/O."""
