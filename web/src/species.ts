// The view of a species: where it was recorded beside the effort of its group, its range and
// seasons, what to download and whom to cite.
import { ask, atlasPage, get, type Range, type Taxon } from "./api";
import { button, download, el, fill } from "./dom";
import { barsOfRange, histogram } from "./histogram";
import { legendOf } from "./legend";
import type { AtlasMap } from "./map";
import { openPair } from "./map_opening";
import { failure, isGivenUp, loading, nothing } from "./notices";
import { mapQuery } from "./question";
import { fresh, go, state, writeState, type Box, type State } from "./state";
import { taxonBox } from "./taxon_box";
import { told } from "./told";
import type { ViewOnPage } from "./view";
import { number, say } from "./words";

const FORMS = [["CSV", "text/csv", "csv"], ["GeoJSON", "application/geo+json", "geojson"], ["Parquet", "application/vnd.apache.parquet", "parquet"]] as const;
const STATES = [["recorded", "recordedIs"], ["searched, not recorded", "searchedIs"], ["not searched", "notIs"]] as const;

export function speciesView(root: HTMLElement): ViewOnPage {
  const names = taxonBox(say("taxon.label"), (taxon) => { names.input.value = ""; go(fresh({ view: "species", taxon: taxon.taxon_id })); });
  const head = el("div", { class: "species-head" });
  const body = el("div", { id: "answers" });
  fill(root, el("div", { class: "question" }, [names.root]), head, body);
  let maps: AtlasMap[] = [];
  let asking: AbortController | null = null;
  let shownTaxon: number | null = null;

  async function load(): Promise<void> {
    asking?.abort();
    const mine = asking = new AbortController();
    const now = state();
    if (now.taxon !== shownTaxon) { letGo(); fill(head); fill(body, loading()); }
    if (now.taxon === null) return fill(body, nothing(say("species.choose")));
    try {
      const query = mapQuery(now);
      const [taxon, range] = await Promise.all([
        get<Taxon>(`/v1/taxa/${now.taxon}`, mine.signal),
        get<Range>(`/v1/taxa/${now.taxon}/range${query ? `?${query}` : ""}`, mine.signal),
      ]);
      // Bars show the whole year whatever is chosen of it.
      const whole = query ? await get<Range>(`/v1/taxa/${now.taxon}/range`, mine.signal) : range;
      fill(head, title(taxon), links(taxon));
      await showBody(taxon, range, whole, mine.signal);
    } catch (error) {
      if (isGivenUp(error)) return;
      letGo();
      fill(body, failure(error, () => { void load(); }));
    }
  }

  async function showBody(taxon: Taxon, range: Range, whole: Range, signal: AbortSignal): Promise<void> {
    const query = mapQuery(state());
    let keys: HTMLElement[];
    if (shownTaxon !== taxon.taxon_id || !maps.length) {
      letGo();
      shownTaxon = taxon.taxon_id;
      const grounds = [0, 1].map((side) => el("div", { class: "map", role: "region",
        "aria-label": side === 0 ? say("species.where") : say("species.effort", { group: range.target_group.scientific_name }) }));
      keys = [el("div", { class: "legend" }), el("div", { class: "legend" })];
      fill(body,
        el("div", { class: "twin" }, [
          el("section", {}, [el("h2", {}, say("species.where")), grounds[0]!, keys[0]!]),
          el("section", {}, [el("h2", {}, say("species.effort", { group: range.target_group.scientific_name })), grounds[1]!, keys[1]!]),
        ]),
        statesKey(),
        el("div", { class: "columns" }, [el("section", { class: "range" }), el("section", { class: "seasons" }), el("section", { class: "take" })]));
      const opened = await openPair(grounds);
      if (signal.aborted) { for (const map of opened) map.remove(); return; }
      maps = opened;
      const placed = await extentOf(taxon.taxon_id, signal);
      if (placed) maps[0]!.show(placed);
    } else keys = [...body.querySelectorAll<HTMLElement>(".legend")];
    fill(body.querySelector(".range")!, ...figures(range));
    fill(body.querySelector(".seasons")!, el("h2", {}, say("time.title")), histogram(barsOfRange(whole), state()));
    fill(body.querySelector(".take")!, ...await takeaway(taxon, query));
    await Promise.all((["occurrence", "effort"] as const).map(async (layer, side) => {
      const legend = await maps[side]?.cells({ layer, taxon: taxon.taxon_id, query });
      if (!signal.aborted) fill(keys[side]!, legend ? legendOf(legend) : null);
    }));
  }

  function letGo(): void {
    for (const map of maps) map.remove();
    maps = [];
    shownTaxon = null;
  }

  void load();
  return { changed: () => { void load(); }, leave: () => { asking?.abort(); letGo(); } };
}

function title(taxon: Taxon): HTMLElement {
  const lineage = taxon.lineage.filter((part) => part.scientific_name && part.taxon_id !== taxon.taxon_id);
  return el("div", {}, [
    el("h1", {}, [taxon.common_name ?? taxon.scientific_name, " ", taxon.common_name ? el("i", {}, taxon.scientific_name) : null]),
    el("p", { class: "faint lineage" }, lineage.flatMap((part, index) => [
      index ? " › " : "",
      part.taxon_id === null ? part.scientific_name : viewLink(part.scientific_name ?? "", fresh({ view: "species", taxon: part.taxon_id })),
    ])),
  ]);
}

function links(taxon: Taxon): HTMLElement {
  return el("p", { class: "row wrap" }, [
    viewLink(`${say("species.photos")} (${number(taxon.counts.images)})`, fresh({ q: taxon.common_name ?? taxon.scientific_name, taxon: taxon.taxon_id })),
    viewLink(say("species.gaps"), fresh({ view: "gaps", taxon: taxon.taxon_id })),
  ]);
}

export function viewLink(words: string, there: Partial<State>): HTMLElement {
  return el("a", { href: writeState({ ...state(), ...there }) }, words, { click: (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(there);
  } });
}

/** The box of the taxon's coarse cells, so that the map opens where it was recorded. */
async function extentOf(taxon: number, signal: AbortSignal): Promise<Box | null> {
  const answer = await ask(`/v1/taxa/${taxon}/distribution?resolution=3`, { signal, headers: { Accept: "application/geo+json" } });
  const { features } = await answer.json() as GeoJSON.FeatureCollection<GeoJSON.MultiPolygon>;
  const points = features.flatMap((feature) => feature.geometry.coordinates.flat(2));
  if (!points.length) return null;
  const lons = points.map((point) => point[0]!);
  const lats = points.map((point) => point[1]!);
  return [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)];
}

function statesKey(): HTMLElement {
  return el("section", { class: "states" }, [
    el("h2", {}, say("states.label")),
    el("dl", {}, STATES.flatMap(([name, meaning]) => [el("dt", {}, say(`states.${name}`)), el("dd", {}, say(`states.${meaning}`))])),
  ]);
}

function figures(range: Range): HTMLElement[] {
  const km2 = (value: number | null): string => value === null ? say("species.tooFew") : `${number(value)} km²`;
  const area = km2(range.area_of_occupancy_km2);
  const rows: [string, string][] = [
    [say("species.records"), number(range.basis.records)],
    [say("species.eoo"), km2(range.extent_of_occurrence_km2)],
    [say("species.aoo"), range.area_of_occupancy_at_least ? say("species.atLeast", { n: area }) : area],
    [say("species.cells", { r: range.resolution }), number(range.occupied_cells)],
    [say("species.uncertain"), number(range.basis.uncertain)],
  ];
  if (range.latitudes) rows.push([say("species.latitudes"), `${number(range.latitudes.south, 1)}° – ${number(range.latitudes.north, 1)}°`]);
  return [
    el("h2", {}, say("species.range")),
    el("dl", { class: "figures" }, rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("p", { class: "faint" }, told(range.wording)),
  ];
}

async function takeaway(taxon: Taxon, query: string): Promise<HTMLElement[]> {
  const page = await atlasPage();
  const file = taxon.scientific_name.replaceAll(" ", "_");
  const path = `/v1/taxa/${taxon.taxon_id}/distribution?searched=true${query ? `&${query}` : ""}`;
  const problem = el("div");
  const take = async (type: string, ending: string): Promise<void> => {
    fill(problem);
    try {
      download(`${file}.${ending}`, type, await (await ask(path, { headers: { Accept: type } })).blob());
    } catch (error) {
      fill(problem, failure(error, () => { void take(type, ending); }));
    }
  };
  return [
    el("h2", {}, say("species.downloads")),
    el("p", { class: "row wrap" }, [
      ...FORMS.map(([name, type, ending]) => button(name, () => { void take(type, ending); })),
      el("a", { class: "button", href: `/v1/taxa/${taxon.taxon_id}/map.png?width=1200${query ? `&${query}` : ""}`, download: `${file}.png` }, say("species.picture")),
    ]),
    problem,
    el("h2", {}, say("species.cite")),
    el("ul", { class: "cite" }, page.sources.map((source) => el("li", {}, source.licence ? `${source.citation} (${source.licence})` : source.citation))),
    el("p", { class: "faint" }, `${page.title}, ${page.built_at.slice(0, 10)}`),
  ];
}
