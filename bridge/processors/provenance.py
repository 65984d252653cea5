"""What an entity says of its source: links to its manifest, and that it stands on an old text.

Backstage shows "View source" and the pencil by annotations, and the tags and links of an entity
on its page and in its lists: so a broken manifest is seen by those who never look at Fester.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from bridge.model.entities import Body, Json
from bridge.model.manifests import TranslatedManifest
from bridge.model.moments import iso
from bridge.model.statements import Statement

KEPT_SINCE: Final = "fester.dev/kept-since"
STALE: Final = "stale-manifest"  # the tag of what stands on an old text

_VIEW: Final = "backstage.io/view-url"
_EDIT: Final = "backstage.io/edit-url"
_SOURCE: Final = "backstage.io/source-location"


def says_most(statements: Sequence[Statement]) -> Statement:
    """The statement with the most to say; of several the first in the order of `place`."""
    return min(statements, key=lambda each: (-_leaves(each.body), each.place))


def _leaves(tree: Json) -> int:
    if isinstance(tree, Mapping):
        return sum(_leaves(value) for value in tree.values())
    return sum(_leaves(value) for value in tree) if isinstance(tree, list) else 1


def with_source(body: Body, manifest: TranslatedManifest) -> Body:
    """The body with links to its manifest, where it has none of its own.

    It is given back as it is when there is nothing to add; a checkout has no URL to link to.
    """
    page = manifest.project.file_url(manifest.file)
    said = body["metadata"].get("annotations") or {}
    if not page or _VIEW in said:
        return body
    links = {
        _SOURCE: f"url:{page}",
        _VIEW: page,
        _EDIT: manifest.project.file_url(manifest.file, "edit"),
    }
    return _annotated(body, {**links, **said})


def as_kept(body: Body, manifest: TranslatedManifest, since: datetime) -> Body:
    """The body as one that stands on an old text since a moment, because a newer is broken.

    An annotation says since when, a tag shows it in every list, and a link leads to the text.
    """
    metadata = body["metadata"]
    tags = dict.fromkeys((*(metadata.get("tags") or ()), STALE))
    changed = {**metadata, "tags": list(tags)}
    page = manifest.project.file_url(manifest.file)
    if page:
        title = f"The manifest is broken since {since.date().isoformat()}: mend it"
        link = {"url": page, "title": title, "icon": "warning", "type": "manifest"}
        changed["links"] = [*(metadata.get("links") or ()), link]
    said = metadata.get("annotations") or {}
    return _annotated({**body, "metadata": changed}, {**said, KEPT_SINCE: iso(since)})


def _annotated(body: Body, annotations: Mapping[str, str]) -> Body:
    """A copy with these annotations; the body itself is somebody else's."""
    return {**body, "metadata": {**body["metadata"], "annotations": dict(annotations)}}
