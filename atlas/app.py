"""The composition root: the only place where real objects are wired together.

`open_atlas` opens a bundle and its encoders, for the server and the command line alike;
`create_app` puts the HTTP application around it. What is wrong with a bundle or an encoder shows
here, before anything is served.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
from litestar import Litestar
from litestar.config.compression import CompressionConfig

from atlas.api.applied_places import usual_filters
from atlas.api.atlas_page import describe_atlas
from atlas.api.atlas_schemas import AtlasDescription
from atlas.api.basemaps import OperatorBasemap
from atlas.api.encoders import EncoderLoader, open_spaces
from atlas.api.following import Following, HoldingRequests
from atlas.api.gap_questions import GapQuestions
from atlas.api.gap_texts import TextTaxa
from atlas.api.openapi import openapi_config
from atlas.api.problems import problem_response
from atlas.api.questions import Measured, Questions
from atlas.api.records import Records
from atlas.api.routes import dependencies, nothing_to_ask_for, route_handlers
from atlas.api.serving import Serving
from atlas.api.spaces import SpaceReader, Spaces
from atlas.api.taxon_pages import TaxonPages
from atlas.api.understanding import Understanding, open_reading
from atlas.api.workers import BoundedPool
from atlas.bundle import Bundle, Manifest
from atlas.bundle.manifest import encode_json
from atlas.catalog import Catalog
from atlas.geo.layers import Layers
from atlas.reading.places import Gazetteer
from atlas.search.batching import BatchReport
from atlas.search.encoder import load_encoder
from atlas.search.retrieval import Retrieval
from atlas.settings import Settings
from atlas.species.maps import Maps
from atlas.species.names import TaxonNames
from atlas.telemetry import Metrics, RequestLog, log_unhandled, prometheus_config


class Atlas(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything that answers questions about one bundle."""

    settings: Settings
    bundle: Bundle
    catalog: Catalog
    spaces: Spaces
    questions: Questions
    understanding: Understanding
    gazetteer: Gazetteer
    names: TaxonNames
    taxon_pages: TaxonPages
    maps: Maps
    gap_questions: GapQuestions
    records: Records
    description: AtlasDescription
    serving: Serving
    basemap_choice: OperatorBasemap
    metrics: Metrics
    queues: Mapping[str, Callable[[], float]]

    @property
    def manifest(self) -> Manifest:
        """The state of the bundle that is served."""
        return self.bundle.manifest

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take texts and searches while the block runs; finish what was taken at its end."""
        batching = self.settings.batching
        self.metrics.bundle_opened(self.manifest.number, self.bundle.living_rows)
        for queue, depth in self.queues.items():
            self.metrics.watch_queue(queue, depth)
        for reader in self.spaces:
            reader.start(
                max_batch=batching.max_batch,
                max_wait_s=batching.max_wait_s,
                max_queue=batching.max_waiting,
                on_batch=partial(_count_batch, self.metrics, reader.space.name),
            )
        try:
            yield
        finally:
            for reader in self.spaces:
                await reader.stop()
            # It waits for searches whose callers have gone, and others may be served meanwhile.
            await asyncio.to_thread(self.questions.close)
            self.catalog.close()


def open_atlas(
    settings: Settings, *, loader: EncoderLoader = load_encoder, previous: Atlas | None = None
) -> Atlas:
    """Open and verify the bundle, load its encoders, and wire everything that answers.

    Where the same server had an earlier state of the bundle open, `previous`, its encoders are
    used on and its metrics counted on; files that it had verified are not read again.
    Raises BundleError naming the file at fault, or EncoderError when an encoder cannot be loaded
    or is not the one that made the bundle's vectors.
    """
    bundle = Bundle.open(
        Path(settings.bundle.path),
        settings.bundle.verify,
        verified=previous.manifest.files if previous else (),
    )
    processors = os.cpu_count() or 1
    workers = settings.queue.workers or processors
    catalog = Catalog.open(
        bundle.catalog_path, threads=processors, memory_mb=settings.bundle.catalog_memory_mb
    )
    spaces = open_spaces(bundle, settings, loader, previous.spaces if previous else ())
    manifest = bundle.manifest
    maps = Maps.of(
        catalog,
        finest=manifest.cell_resolution,
        demonstration=manifest.demonstration,
        settings=settings.maps,
        gaps=settings.gaps,
    )
    collected = previous.metrics if previous else Metrics()
    searches, photos = _pools(settings, workers)
    queues: dict[str, Callable[[], float]] = {
        "searches": lambda: searches.depth,
        "photos": lambda: photos.depth,
    }
    queues |= {f"texts {reader.space.name}": partial(_waiting, reader) for reader in spaces}
    layers = Layers.of(bundle)
    gazetteer, understanding = open_reading(
        catalog,
        layers,
        grammars=settings.reading.grammars,
        places=settings.reading.places,
        people_per_km2=settings.reading.people_per_km2,
        gazetteer=previous.gazetteer if previous else None,
    )
    retrieval = Retrieval(
        bundle,
        catalog,
        settings.search,
        fusion=settings.fusion,
        diversity=settings.diversity,
    )
    for usual in usual_filters(layers):
        retrieval.compile(usual)  # 10 ms for ten million rows: nobody should be the first to wait
    questions = Questions(
        retrieval,
        catalog,
        spaces,
        understanding,
        scene_spaces=frozenset(settings.reading.scene_spaces),
        searches=searches,
        photos=photos,
        observe=partial(_count_search, collected),
    )
    basemap = OperatorBasemap.of(settings.page)
    return Atlas(
        settings=settings,
        bundle=bundle,
        catalog=catalog,
        spaces=spaces,
        questions=questions,
        understanding=understanding,
        gazetteer=gazetteer,
        names=TaxonNames(catalog),
        taxon_pages=TaxonPages(catalog, manifest.ranks),
        maps=maps,
        gap_questions=GapQuestions.of(
            catalog,
            maps,
            settings.gaps,
            bundle=bundle,
            texts=TextTaxa(questions, catalog, settings.gaps),
            searches=searches,
        ),
        records=Records(bundle, catalog),
        description=describe_atlas(
            bundle, catalog, default_space=spaces.default, with_encoder=spaces.with_encoder
        ),
        serving=Serving.of(manifest, settings, basemap),
        basemap_choice=basemap,
        metrics=collected,
        queues=queues,
    )


def _pools(settings: Settings, workers: int) -> tuple[BoundedPool, BoundedPool]:
    """The threads of searches, and those of photos."""
    searches = BoundedPool(
        "the queue of searches",
        workers=workers,
        max_queue=settings.queue.max_waiting,
        retry_after_s=settings.queue.retry_after_s,
    )
    photos = BoundedPool(
        "the queue of photos",
        workers=settings.pictures.workers,
        max_queue=settings.pictures.max_waiting,
        retry_after_s=settings.queue.retry_after_s,
    )
    return searches, photos


def create_app(atlas: Atlas, *, loader: EncoderLoader = load_encoder) -> Litestar:
    """The HTTP application around an open atlas, and around every later state of its bundle."""

    def reopen(live: Atlas) -> Atlas:
        return open_atlas(live.settings, loader=loader, previous=live)

    following = Following(
        atlas,
        reopen,
        root=atlas.bundle.root,
        poll_s=atlas.settings.bundle.follow_s,
        metrics=atlas.metrics,
    )

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with following.running():
            yield

    app = Litestar(
        route_handlers=route_handlers(),
        dependencies=dependencies(
            exposition=lambda: following.live.metrics.exposition,
            refused=lambda: following.refused,
        ),
        exception_handlers={Exception: problem_response},
        after_exception=[log_unhandled],
        lifespan=[lifespan],
        middleware=[prometheus_config().middleware],
        compression_config=CompressionConfig(backend="gzip", exclude_opt_key="no_compression"),
        openapi_config=openapi_config(),
        request_max_body_size=atlas.settings.server.max_body_bytes,
        # The logs are our own (telemetry): Litestar's would print bodies.
        logging_config=None,
    )
    app.asgi_handler = RequestLog(HoldingRequests(app.asgi_handler, following))
    return app


def openapi_document() -> bytes:
    """The OpenAPI document as JSON; it needs no bundle."""
    app = Litestar(
        route_handlers=route_handlers(),
        dependencies=nothing_to_ask_for(),
        openapi_config=openapi_config(),
        logging_config=None,
    )
    return encode_json(app.openapi_schema.to_schema())


def _waiting(reader: SpaceReader) -> float:
    return reader.waiting


def _count_batch(collected: Metrics, space: str, report: BatchReport) -> None:
    collected.batch_encoded(space, report.texts)


def _count_search(collected: Metrics, measured: Measured) -> None:
    for space, seconds in measured.encode_s.items():
        collected.encoded(space, measured.kind, seconds)
    collected.searched(measured.path, measured.rows_scored)
