"""From which entities an entity was read, up to the registered location."""

from __future__ import annotations

from bridge.catalog.index import Index
from bridge.catalog.jsontext import dumped


def ancestry(index: Index, ref: str) -> bytes | None:
    """The answer of `…/ancestry` as JSON; None when there is no such entity."""
    if index.raw(ref) is None:
        return None
    seen, todo, items = {ref}, [ref], []
    while todo:
        current = todo.pop()
        parents = [each for each in index.parents.get(current, ()) if each in index.slots]
        for parent in parents:
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
        raw = index.raw(current) or b"null"
        items.append(b'{"entity":%b,"parentEntityRefs":%b}' % (raw, dumped(parents)))
    return b'{"rootEntityRef":%b,"items":[%b]}' % (dumped(ref), b",".join(items))
