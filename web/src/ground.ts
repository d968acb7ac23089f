// What maps are drawn on: the atlas's own ground in light and dark, whose shapes and names come from
// the server so that no tile server is needed, or the basemap that an operator set.
import type { ExpressionSpecification, GeoJSONSource, Map as Ground, StyleSpecification } from "maplibre-gl";
import type { Basemap } from "./api";
import { spoken } from "./words";

interface Tones { sea: string; land: string; river: string; border: string; name: string }
const LIGHT: Tones = { sea: "#dbe7ee", land: "#f6f4ee", river: "#8fb4cc", border: "#9a948a", name: "#3b413e" };
const NIGHT: Tones = { sea: "#1b2a33", land: "#333a3d", river: "#46687c", border: "#7c8488", name: "#dfe4e1" };
// Without an address of glyphs MapLibre draws letters with the browser's own fonts.
const FONTS = ["system-ui", "sans-serif"];
// Towns are fainter than countries.
const STRENGTH: ExpressionSpecification = ["case", ["==", ["get", "kind"], "country"], 1, 0.85];
/** The layer below which cells are drawn, so that names stay readable. */
export const NAMES = "names";

/** The style of the map. Empty addresses in `chosen` mean the atlas's own ground. */
export function styleOf(chosen: Basemap, dark: boolean): StyleSpecification | string {
  if (chosen.style) return chosen.style;
  return chosen.tiles ? tiled(chosen) : groundStyle(dark);
}

function tiled(chosen: Basemap): StyleSpecification {
  return {
    version: 8,
    sources: { tiles: { type: "raster", tiles: [new URL(chosen.tiles, location.origin).href.replaceAll("%7B", "{").replaceAll("%7D", "}")],
      tileSize: 256, maxzoom: chosen.max_zoom, attribution: asText(chosen.attribution) } },
    layers: [{ id: "tiles", type: "raster", source: "tiles" }],
  };
}

/** MapLibre reads attributions as HTML. */
function asText(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function groundStyle(dark: boolean): StyleSpecification {
  const tones = dark ? NIGHT : LIGHT;
  const language = `?language=${spoken()}`;
  return {
    version: 8,
    sources: { ground: { type: "geojson", data: "/v1/basemap/coarse", tolerance: 0.3,
      attribution: "GSHHG, WDB-II" },
      names: { type: "geojson", data: `/v1/basemap/coarse/labels${language}`, attribution: "GeoNames" } },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": tones.sea } },
      // Lakes and the islands in them alternate in one layer, in the order of the file.
      { id: "land", type: "fill", source: "ground", filter: ["in", ["get", "kind"], ["literal", ["land", "lake"]]],
        paint: { "fill-color": ["match", ["get", "kind"], "lake", tones.sea, tones.land] } },
      { id: "river", type: "line", source: "ground", filter: ["==", ["get", "kind"], "river"],
        paint: { "line-color": tones.river, "line-width": ["interpolate", ["linear"], ["zoom"], 1, 0.4, 8, 1.5] } },
      { id: "border", type: "line", source: "ground", filter: ["==", ["get", "kind"], "border"],
        paint: { "line-color": tones.border, "line-width": 0.7, "line-dasharray": [3, 2] } },
      { id: NAMES, type: "symbol", source: "names", filter: ["<=", ["get", "from_zoom"], ["zoom"]],
        layout: {
          "text-field": ["get", "name"], "text-font": FONTS, "text-max-width": 7, "text-padding": 6,
          "text-size": ["case", ["==", ["get", "kind"], "country"], 12, 11],
          "text-letter-spacing": ["case", ["==", ["get", "kind"], "country"], 0.08, 0],
        },
        paint: { "text-color": tones.name, "text-halo-color": tones.land, "text-halo-width": 1.4, "text-opacity": STRENGTH } },
    ],
  };
}

/** Finer shapes and all names, for whoever looks closely. */
export function refine(ground: Ground): void {
  for (const [source, data] of [["ground", "/v1/basemap/fine"], ["names", `/v1/basemap/fine/labels?language=${spoken()}`]] as const) {
    const shown = ground.getSource<GeoJSONSource>(source);
    if (shown && shown.serialize().data !== data) shown.setData(data);
  }
}

/** The atlas's own ground in light or dark; an operator's basemap is what it is. */
export function repaint(ground: Ground, dark: boolean): void {
  if (!ground.getLayer("sea")) return;
  const tones = dark ? NIGHT : LIGHT;
  ground.setPaintProperty("sea", "background-color", tones.sea);
  ground.setPaintProperty("land", "fill-color", ["match", ["get", "kind"], "lake", tones.sea, tones.land]);
  ground.setPaintProperty("river", "line-color", tones.river);
  ground.setPaintProperty("border", "line-color", tones.border);
  ground.setPaintProperty(NAMES, "text-color", tones.name);
  ground.setPaintProperty(NAMES, "text-halo-color", tones.land);
}
