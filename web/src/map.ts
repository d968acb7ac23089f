// The map: the atlas's own ground (land, lakes, rivers, borders), cells from its vector tiles, the
// places of photos, and drawing. Knows nothing of questions: views tell it what to show.
import "maplibre-gl/dist/maplibre-gl.css";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import {
  type AddLayerObject, AttributionControl, type ExpressionSpecification, type GeoJSONSource, LngLatBounds, Map as Ground, type MapMouseEvent,
  NavigationControl, ScaleControl, setWorkerUrl,
} from "maplibre-gl";
import { type Basemap, get, type Legend } from "./api";
import type { Box } from "./state";
import { NAMES, refine, repaint, styleOf } from "./ground";
import { ringOf } from "./map_shapes";

setWorkerUrl(workerUrl);

export interface Place { id: string; lat: number; lon: number }
export interface Cells { layer: string; taxon: number; query?: string; opacity?: number }
type Collection = GeoJSON.FeatureCollection;

const NOTHING: Collection = { type: "FeatureCollection", features: [] };
const DARK = matchMedia("(prefers-color-scheme: dark)");
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

export class AtlasMap {
  readonly ground: Ground;
  readonly ready: Promise<void>;
  private readonly forgetTheme: () => void;
  private pickedCells: string[] = [];
  /** While a shape is drawn a click is a corner, and nothing else. */
  private drawing = false;

  constructor(container: HTMLElement, chosen: Basemap, box: Box | null, label: string) {
    this.ground = new Ground({
      container,
      style: styleOf(chosen, DARK.matches),
      bounds: box ? new LngLatBounds(box) : [-170, -58, 170, 76],
      maxZoom: 13, attributionControl: false, dragRotate: false, pitchWithRotate: false,
      renderWorldCopies: true,
    });
    this.ground.touchZoomRotate.disableRotation();
    this.ground.addControl(new NavigationControl({ showCompass: false }), "top-right");
    this.ground.addControl(new AttributionControl({ compact: true }), "bottom-right");
    this.ground.addControl(new ScaleControl({ maxWidth: 120 }), "bottom-left");
    this.ground.getCanvas().setAttribute("aria-label", label);
    this.ready = new Promise((resolve) => {
      this.ground.once("load", () => { repaint(this.ground, DARK.matches); this.addLayers(); resolve(); });
    });
    // Whoever cannot see the map, or drives it, is told when it is drawn.
    const busy = (is: boolean) => (): void => container.setAttribute("aria-busy", String(is));
    this.ground.on("dataloading", busy(true));
    this.ground.on("idle", busy(false));
    const themed = (): void => repaint(this.ground, DARK.matches);
    DARK.addEventListener("change", themed);
    this.forgetTheme = () => DARK.removeEventListener("change", themed);
    // The finer ground is fetched by whoever looks closely, and by nobody else.
    this.ground.on("zoomend", () => this.refine());
  }

  remove(): void {
    this.forgetTheme();
    this.ground.remove();
  }

  box(): Box {
    const bounds = this.ground.getBounds();
    const west = Math.max(-180, bounds.getWest());
    const east = Math.min(180, bounds.getEast());
    const round = (degrees: number): number => Math.round(degrees * 1000) / 1000;
    return [round(west), round(Math.max(-90, bounds.getSouth())), round(east), round(Math.min(90, bounds.getNorth()))];
  }

  show(box: Box): void {
    this.ground.fitBounds(new LngLatBounds(box), { padding: 24, maxZoom: 9, animate: !STILL.matches });
  }

  showPlaces(places: Place[]): void {
    if (!places.length) return;
    const lats = places.map((place) => place.lat);
    const lons = places.map((place) => place.lon);
    this.show([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)]);
  }

  async places(places: Place[]): Promise<void> {
    await this.set("places", places);
  }

  /** Outline the cells that are picked. */
  async picked(cells: string[]): Promise<void> {
    this.pickedCells = cells;
    await this.ready;
    if (this.ground.getLayer("picked")) this.ground.setFilter("picked", ["in", ["get", "cell"], ["literal", cells]]);
  }

  async point(place: Place | null): Promise<void> {
    await this.set("pointed", place ? [place] : []);
  }

  async outlines(collection: Collection | null): Promise<void> {
    await this.fill("outlines", collection ?? NOTHING);
  }

  /** Colour cells by a layer of the server's tiles, and say what the colours mean. */
  async cells(shown: Cells | null): Promise<Legend | null> {
    await this.ready;
    for (const layer of ["cells", "picked"]) if (this.ground.getLayer(layer)) this.ground.removeLayer(layer);
    if (this.ground.getSource("cells")) this.ground.removeSource("cells");
    if (!shown) return null;
    const query = `taxon=${shown.taxon}${shown.query ? `&${shown.query}` : ""}`;
    const zoom = Math.max(0, Math.round(this.ground.getZoom()));
    const legend = await get<Legend>(`/v1/legend/${shown.layer}?${query}&zoom=${Math.min(13, zoom)}`);
    if (this.ground.getSource("cells")) return legend;
    this.ground.addSource("cells", {
      type: "vector", maxzoom: 13, promoteId: "cell",
      tiles: [`${location.origin}/v1/tiles/${shown.layer}/{z}/{x}/{y}?${query}`],
    });
    this.ground.addLayer({ id: "picked", type: "line", source: "cells", "source-layer": shown.layer,
      filter: ["in", ["get", "cell"], ["literal", this.pickedCells]],
      paint: { "line-color": "#cc0066", "line-width": 3 } }, "outlines");
    this.ground.addLayer({
      id: "cells", type: "fill", source: "cells", "source-layer": shown.layer,
      paint: { "fill-color": coloured(legend), "fill-opacity": shown.opacity ?? 0.75, "fill-outline-color": "rgba(0,0,0,0.25)" },
    }, "picked");
    return legend;
  }

  onMoved(told: (box: Box, byPerson: boolean) => void): void {
    this.ground.on("moveend", (event) => told(this.box(), "originalEvent" in event && !!event.originalEvent));
  }

  onCell(told: (cell: string, properties: { [key: string]: unknown }) => void): void {
    this.ground.on("click", (event) => {
      if (this.drawing || !this.ground.getLayer("cells")) return;
      const [found] = this.ground.queryRenderedFeatures(event.point, { layers: ["cells"] });
      if (found) told(String(found.properties.cell), found.properties);
    });
  }

  onFeature(layer: "places" | "outlines", told: (id: string) => void): void {
    this.ground.on("click", layer, (event) => {
      const id: unknown = event.features?.[0]?.properties.id;
      if (typeof id === "string" && !this.drawing) told(id);
    });
    this.ground.on("mouseenter", layer, () => { this.ground.getCanvas().style.cursor = "pointer"; });
    this.ground.on("mouseleave", layer, () => { this.ground.getCanvas().style.cursor = ""; });
  }

  /** Let a person draw a shape; its corners as longitude and latitude, or null where they stop. */
  async draw(): Promise<number[] | null> {
    await this.ready;
    const corners: [number, number][] = [];
    const canvas = this.ground.getCanvas();
    this.drawing = true;
    canvas.style.cursor = "crosshair";
    canvas.focus();
    const corner = (degrees: number): number => Math.round(degrees * 10_000) / 10_000;
    return await new Promise((resolve) => {
      const finish = (drawn: boolean): void => {
        this.drawing = false;
        this.ground.off("click", click);
        document.removeEventListener("keydown", key);
        canvas.style.cursor = "";
        resolve(drawn && corners.length > 2 ? corners.flat() : null);
      };
      const click = (event: MapMouseEvent): void => {
        const first = corners[0];
        if (first && corners.length > 2 && this.ground.project(first).dist(event.point) < 12) return finish(true);
        corners.push([corner(event.lngLat.lng), corner(event.lngLat.lat)]);
        void this.shape(corners.flat());
      };
      const key = (event: KeyboardEvent): void => {
        // Enter on a button presses it.
        if (event.key === "Enter" && !(event.target as HTMLElement).closest("button, a, input")) finish(true);
        if (event.key === "Escape") finish(false);
      };
      this.ground.on("click", click);
      document.addEventListener("keydown", key);
    });
  }

  async shape(corners: number[]): Promise<void> {
    const ring = ringOf(corners);
    const geometry: GeoJSON.Geometry = ring.length > 3
      ? { type: "Polygon", coordinates: [ring] } : { type: "MultiPoint", coordinates: ring };
    await this.fill("shape", ring.length ? { type: "Feature", properties: {}, geometry } : NOTHING);
  }

  private async set(source: string, places: Place[]): Promise<void> {
    await this.fill(source, {
      type: "FeatureCollection",
      features: places.map((place) => ({
        type: "Feature", properties: { id: place.id },
        geometry: { type: "Point", coordinates: [place.lon, place.lat] },
      })),
    });
  }

  /** A map that was let go meanwhile has nothing to fill. */
  private async fill(source: string, shown: GeoJSON.GeoJSON): Promise<void> {
    await this.ready;
    this.ground.getSource<GeoJSONSource>(source)?.setData(shown);
  }

  private refine(): void {
    if (this.ground.getZoom() >= 4) refine(this.ground);
  }

  /** Cells lie below the names, where the ground has them. */
  private addBelowNames(layer: AddLayerObject): void {
    this.ground.addLayer(layer, this.ground.getLayer(NAMES) ? NAMES : undefined);
  }

  private addLayers(): void {
    for (const source of ["outlines", "shape", "places", "pointed"]) {
      this.ground.addSource(source, { type: "geojson", data: NOTHING });
    }
    this.addBelowNames({ id: "outlines", type: "fill", source: "outlines",
      paint: { "fill-color": STATE_FILL, "fill-opacity": 0.55 } });
    this.addBelowNames({ id: "outlines-edge", type: "line", source: "outlines",
      paint: { "line-color": ["case", ["boolean", ["get", "chosen"], false], "#cc0066", "#333333"],
        "line-width": ["case", ["boolean", ["get", "chosen"], false], 3, 0.7] } });
    this.ground.addLayer({ id: "shape", type: "line", source: "shape",
      paint: { "line-color": "#cc0066", "line-width": 2.5 } });
    this.ground.addLayer({ id: "shape-corners", type: "circle", source: "shape",
      paint: { "circle-radius": 4, "circle-color": "#cc0066" } });
    this.ground.addLayer({ id: "places", type: "circle", source: "places",
      paint: { "circle-radius": 6, "circle-color": "#d55e00", "circle-stroke-color": "#ffffff", "circle-stroke-width": 1.5 } });
    this.ground.addLayer({ id: "pointed", type: "circle", source: "pointed",
      paint: { "circle-radius": 12, "circle-color": "#cc0066", "circle-opacity": 0.5, "circle-stroke-color": "#ffffff", "circle-stroke-width": 3 } });
    this.refine();
  }
}

// The server's colours for the states of cells (Okabe and Ito), the same in tiles and lists.
export const STATE_COLOURS: { [state: string]: string } = {
  no_data: "#d55e00", insufficient: "#f0e442", under_sampled: "#56b4e9", well_sampled: "#004c7f",
};
const STATE_FILL = ["match", ["get", "state"], ...Object.entries(STATE_COLOURS).flat(), "#999999"] as unknown as ExpressionSpecification;

function coloured(legend: Legend): ExpressionSpecification {
  const value = ["get", legend.field];
  if (legend.classes.some((shown) => shown.value !== null)) {
    const pairs = legend.classes.flatMap((shown) => [shown.value ?? "", shown.colour]);
    return ["match", value, ...pairs, "transparent"] as unknown as ExpressionSpecification;
  }
  const [lowest, ...higher] = legend.classes;
  if (!lowest) return ["literal", "transparent"] as unknown as ExpressionSpecification;
  if (!higher.length) return ["to-color", lowest.colour] as unknown as ExpressionSpecification;
  const steps = higher.flatMap((shown) => [shown.lower ?? 0, shown.colour]);
  return ["case", ["has", legend.field], ["step", value, lowest.colour, ...steps], "transparent"] as unknown as ExpressionSpecification;
}

export function sideBySide(one: AtlasMap, other: AtlasMap): void {
  let moving = false;
  const follow = (leader: AtlasMap, follower: AtlasMap): void => {
    leader.ground.on("move", () => {
      if (moving) return;
      moving = true;
      follower.ground.jumpTo({ center: leader.ground.getCenter(), zoom: leader.ground.getZoom() });
      moving = false;
    });
  };
  follow(one, other);
  follow(other, one);
}
