// How the ground looks in light and dark. Its shapes come from the server, no tile server is needed.
import type { Map as Ground, StyleSpecification } from "maplibre-gl";

interface Tones { sea: string; land: string; river: string; border: string }
const LIGHT: Tones = { sea: "#dbe7ee", land: "#f6f4ee", river: "#8fb4cc", border: "#9a948a" };
const NIGHT: Tones = { sea: "#1b2a33", land: "#333a3d", river: "#46687c", border: "#7c8488" };

export function groundStyle(dark: boolean): StyleSpecification {
  const tones = dark ? NIGHT : LIGHT;
  return {
    version: 8,
    sources: { ground: { type: "geojson", data: "/v1/basemap/coarse", tolerance: 0.3,
      attribution: "GSHHG, WDB-II" } },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": tones.sea } },
      // Lakes and the islands in them alternate in one layer, in the order of the file.
      { id: "land", type: "fill", source: "ground", filter: ["in", ["get", "kind"], ["literal", ["land", "lake"]]],
        paint: { "fill-color": ["match", ["get", "kind"], "lake", tones.sea, tones.land] } },
      { id: "river", type: "line", source: "ground", filter: ["==", ["get", "kind"], "river"],
        paint: { "line-color": tones.river, "line-width": ["interpolate", ["linear"], ["zoom"], 1, 0.4, 8, 1.5] } },
      { id: "border", type: "line", source: "ground", filter: ["==", ["get", "kind"], "border"],
        paint: { "line-color": tones.border, "line-width": 0.7, "line-dasharray": [3, 2] } },
    ],
  };
}

export function repaint(ground: Ground, dark: boolean): void {
  const tones = dark ? NIGHT : LIGHT;
  ground.setPaintProperty("sea", "background-color", tones.sea);
  ground.setPaintProperty("land", "fill-color", ["match", ["get", "kind"], "lake", tones.sea, tones.land]);
  ground.setPaintProperty("river", "line-color", tones.river);
  ground.setPaintProperty("border", "line-color", tones.border);
}
