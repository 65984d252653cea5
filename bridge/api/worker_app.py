"""What `fester worker` answers over HTTP: whether it lives, and what it has done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.model.scrape import Traffic

_PROMETHEUS = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


class WorkerCollector(Collector):
    """What one worker has done since it began: parts by fate, and requests by source."""

    def __init__(
        self, parts: Counter[str], queues: int, traffic: Mapping[str, Callable[[], Traffic]]
    ) -> None:
        self._parts, self._queues, self._traffic = parts, queues, traffic

    def collect(self) -> Iterator[Metric]:
        """The metrics, each with its help text."""
        parts = CounterMetricFamily(
            "fester_worker_parts", "parts of sweeps by what came of them here", labels=["fate"]
        )
        for fate in ("done", "failed", "late"):
            parts.add_metric([fate], self._parts[fate])
        yield parts
        yield GaugeMetricFamily(
            "fester_worker_queues", "sources whose sweeps it takes parts of", self._queues
        )
        requests = CounterMetricFamily(
            "fester_source_requests",
            "requests sent to it by HTTP status, or no answer",
            labels=["source", "outcome"],
        )
        for name, traffic in self._traffic.items():
            for status, count in sorted(traffic().outcomes.items()):
                requests.add_metric([name or "first", status], count)
        yield requests


def worker_app(
    parts: Counter[str],
    queues: Callable[[], int],
    traffic: Mapping[str, Callable[[], Traffic]],
    alive: Callable[[], bool],
) -> web.Application:
    """The application: `/healthz` (503 when it will take no job any more), `/readyz` (503 while it
    takes no jobs) and `/metrics`.
    """

    async def healthz(request: web.Request) -> web.Response:
        lives = alive()
        return web.json_response({"alive": lives}, status=200 if lives else 503)

    async def readyz(request: web.Request) -> web.Response:
        taking = queues()
        told = {"ready": taking > 0, "role": "worker", "queues": taking}
        return web.json_response(told, status=200 if taking else 503)

    async def metrics(request: web.Request) -> web.Response:
        registry = CollectorRegistry()
        registry.register(WorkerCollector(parts, queues(), traffic))
        return web.Response(body=generate_latest(registry), headers=_PROMETHEUS)

    app = web.Application(client_max_size=1024)
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
        ]
    )
    return app
