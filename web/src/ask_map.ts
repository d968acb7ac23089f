// The map beside the photos: their places, the cells of the taxon, and the ways to limit by place.
import type { Hit } from "./api";
import { button, el, fill } from "./dom";
import { legendOf } from "./legend";
import type { AtlasMap, Place } from "./map";
import { openMap } from "./map_opening";
import { mapQuery } from "./question";
import { go, state } from "./state";
import { say } from "./words";

const MOVED_WAIT_MS = 250;

export interface AskMap {
  tools: HTMLElement; ground: HTMLElement; key: HTMLElement;
  /** Show the state's ways to limit by place. */
  changed(): void;
  /** Show where the photos are; `fitted` moves the map to them where no place is asked for. */
  places(hits: Hit[], fitted: boolean): Promise<void>;
  point(hit: Hit | null): void;
  /** Colour the cells of a taxon, with the key of its colours. */
  cells(taxon: number): Promise<void>;
  leave(): void;
}

/** The map; it is loaded when it is first needed. `chosen` is told the photo whose place is clicked. */
export function askMap(chosen: (imageId: string) => void): AskMap {
  const ground = el("div", { class: "map", role: "region", "aria-label": say("map.label") });
  const tools = el("div", { class: "tools" });
  const key = el("div", { class: "legend" });
  let map: AtlasMap | null = null;
  let opening: Promise<AtlasMap> | null = null;
  let picking = false;
  let gone = false;

  async function atHand(): Promise<AtlasMap | null> {
    if (gone) return null;
    opening ??= openMap(ground, state().bbox, say("map.label")).then(listenTo);
    const opened = await opening;
    if (gone) opened.remove();
    return gone ? null : opened;
  }

  function listenTo(opened: AtlasMap): AtlasMap {
    let timer = 0;
    opened.onMoved((box, byPerson) => {
      if (!state().follow || !byPerson) return;
      clearTimeout(timer);
      timer = window.setTimeout(() => go({ bbox: box, shape: [], marks: "" }, "replace"), MOVED_WAIT_MS);
    });
    opened.onFeature("places", (id) => { if (!picking) chosen(id); });
    opened.onCell((cell) => { if (picking) go({ cells: toggled(state().cells, cell), marks: "" }); });
    return map = opened;
  }

  async function draw(hint: HTMLElement): Promise<void> {
    fill(hint, say("map.drawing"));
    const shape = await (await atHand())?.draw() ?? null;
    fill(hint);
    if (shape) go({ shape, bbox: null, follow: false, marks: "" });
    else void map?.shape(state().shape);
  }

  async function here(): Promise<void> {
    const drawn = await atHand();
    if (drawn) go({ bbox: drawn.box(), shape: [], marks: "" });
  }

  async function follow(on: boolean): Promise<void> {
    const drawn = on ? await atHand() : null;
    go(drawn ? { follow: true, bbox: drawn.box(), shape: [], marks: "" } : { follow: false });
  }

  function changed(): void {
    const check = el("input", { type: "checkbox", id: "follow", checked: state().follow }, [], {
      change: (event) => { void follow((event.target as HTMLInputElement).checked); },
    });
    const hint = el("span", { class: "faint", role: "status" }, picking ? say("map.picking") : "");
    fill(tools,
      button(say("map.here"), () => { void here(); }),
      button(say("map.draw"), () => { void draw(hint); }),
      button(say("map.pick"), () => { picking = !picking; changed(); }, { "aria-pressed": String(picking) }),
      el("label", { class: "check" }, [check, ` ${say("map.follow")}`]), hint);
    void map?.picked(state().cells);
  }

  async function places(hits: Hit[], fitted: boolean): Promise<void> {
    const shown = hits.flatMap((hit) => placeOf(hit) ?? []);
    if (!shown.length && !map) return;
    const drawn = await atHand();
    if (!drawn) return;
    const now = state();
    await Promise.all([drawn.places(shown), drawn.shape(now.shape), drawn.picked(now.cells)]);
    if (fitted && !now.bbox && !now.shape.length && !now.cells.length) drawn.showPlaces(shown);
  }

  async function cells(taxon: number): Promise<void> {
    const legend = await (await atHand())?.cells({ layer: "occurrence", taxon, query: mapQuery(state()), opacity: 0.45 });
    fill(key, legend ? legendOf(legend) : null);
  }

  return {
    tools, ground, key, changed, places, cells,
    point: (hit) => { void map?.point(hit && placeOf(hit)); },
    leave: () => { gone = true; map?.remove(); },
  };
}

function placeOf(hit: Hit): Place | null {
  return hit.lat !== null && hit.lon !== null ? { id: hit.image_id, lat: hit.lat, lon: hit.lon } : null;
}

function toggled(list: string[], one: string): string[] {
  return list.includes(one) ? list.filter((part) => part !== one) : [...list, one];
}
