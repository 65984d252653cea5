"""An address of the demo for every kind of page that there is."""

from __future__ import annotations

from typing import Final

# By the path as the API's description has it: addresses to look at, filled and empty.
KINDS: Final = {
    "/": ("/",),
    "/entities": ("/entities", "/entities?q=nothing-like-this"),
    "/explain": ("/explain", "/explain?ref=whale-watch", "/explain?ref=nothing-like-this"),
    "/docs": ("/docs",),
    "/docs/{topic}": ("/docs/mapping",),
    "/search": ("/search", "/search?q=booking", "/search?q=nothing-like-this"),
    "/entity/{ref}": (
        "/entity/component:default/booking-api",
        "/entity/group:default/crows-nest",
        "/entity/system:default/tracking",
        "/entity/domain:default/fleet",
        "/entity/component:default/nothing-like-this",
    ),
    "/fields/{ref}": ("/fields/component:default/booking-api", "/fields/system:default/tracking"),
    "/map": ("/map",),
    "/map/{ref}": ("/map/system:default/tracking", "/map/component:default/booking-api"),
    "/documents": ("/documents", "/documents?kind=golden-path&q=nothing-like-this"),
    "/incident": ("/incident", "/incident?q=booking"),
    "/incident/{anything}": ("/incident/booking-api", "/incident/nothing-like-this"),
    "/changes": (
        "/changes",
        "/changes?since=soon",
        "/changes?around=whale-watch",
        "/changes?around=grafana.kestrel.example",
    ),
    "/changes/receivers": ("/changes/receivers",),
    "/problems": ("/problems", "/problems?team=crows-nest", "/problems?kind=nothing-like-this"),
    "/scores": ("/scores",),
    "/scores/{kind}": ("/scores/team",),
    "/scores/{kind}/{name}": ("/scores/team/group:default/crows-nest",),
    "/scores/entity/{ref}": ("/scores/entity/component:default/booking-api",),
    "/scores/rubric/next": ("/scores/rubric/next",),
    "/initiatives": ("/initiatives",),
    "/initiatives/{id}": ("/initiatives/nothing-like-this",),
    "/waivers": ("/waivers",),
    "/movers/{kind}": ("/movers/team",),
    "/vulnerabilities": ("/vulnerabilities",),
    "/notices": ("/notices", "/notices?state=sent", "/notices?state=nothing-like-this"),
}
ALL: Final = tuple(address for addresses in KINDS.values() for address in addresses)
