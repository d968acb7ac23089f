"""Health and metrics, and what this atlas is: what operators and clients ask first."""

from __future__ import annotations

from collections.abc import Callable

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from atlas.api.atlas_schemas import AtlasDescription, Health
from atlas.api.serving import Serving

# Litestar adds the character set.
EXPOSITION = "text/plain; version=0.0.4"


class HealthController(Controller):
    """Whether the server lives, and whether it can answer."""

    path = "/health"
    tags = ("operations",)

    @get("/live", operation_id="getLive", summary="The process answers", sync_to_thread=False)
    def live(self) -> Health:
        """The process answers; says nothing of the bundle."""
        return Health()

    @get("/ready", operation_id="getReady", summary="The atlas is open", sync_to_thread=False)
    def ready(
        self, serving: NamedDependency[Serving], refused: NamedDependency[str | None]
    ) -> Health:
        """The bundle is verified and open: the server listens only after that.

        `refused` names a newer state of the bundle that cannot be served, if there is one.
        """
        return Health(bundle=serving.bundle_number, refused=refused)


class AtlasController(Controller):
    """The atlas itself."""

    path = "/v1/atlas"
    tags = ("atlas",)

    @get("/", operation_id="getAtlas", summary="What this atlas is", sync_to_thread=False)
    def atlas(self, description: NamedDependency[AtlasDescription]) -> AtlasDescription:
        """Counts, spaces with their measured recall, sources to cite, licences, flags, rejects."""
        return description


@get(
    "/metrics",
    operation_id="getMetrics",
    summary="Metrics",
    tags=["operations"],
    media_type=EXPOSITION,
    sync_to_thread=False,
)
def metrics(exposition: NamedDependency[Callable[[], bytes]]) -> Response[bytes]:
    """Metrics in Prometheus' text format."""
    return Response(exposition(), media_type=EXPOSITION)
