"""The catalog as Backstage's readers know it: entities with relations, indexed for questions.

Pure: no input or output, no clock. `reader.Reader` turns a pass's catalog into an `index.Index`,
which never changes afterwards and is swapped whole.
"""
