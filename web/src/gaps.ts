// The view of what is not documented: ranked cells, why each, what is expected there, and the
// export of a visit.
import { ask, get, type Gap, type GapAnswer, type GapCell, type NameMatch, type Taxon } from "./api";
import { button, download, el, fill } from "./dom";
import { csv, gpx } from "./files";
import { gapDetail } from "./gap_detail";
import type { AtlasMap } from "./map";
import { openMap } from "./map_opening";
import { failure, isGivenUp, loading, nothing } from "./notices";
import { go, state, type State } from "./state";
import { taxonBox } from "./taxon_box";
import { told } from "./told";
import type { ViewOnPage } from "./view";
import { say } from "./words";

const STATES = ["no_data", "insufficient", "under_sampled", "well_sampled"] as const;
const LISTED = 50;
type Outlines = GeoJSON.FeatureCollection<GeoJSON.MultiPolygon, Gap> & { ranking: Omit<GapAnswer, "gaps"> };

export function gapsView(root: HTMLElement): ViewOnPage {
  const names = taxonBox(say("gaps.group"), (taxon: NameMatch) => { names.input.value = ""; find({ taxon: taxon.taxon_id, q: "" }); });
  const words = el("input", { type: "search", id: "gap-words", value: state().q });
  const sampling = el("select", { id: "gap-state" }, [
    el("option", { value: "" }, say("gaps.all")),
    ...STATES.map((name) => el("option", { value: name, selected: state().state === name }, say(`gaps.state.${name}`))),
  ]);
  const size = el("select", { id: "gap-size" }, [3, 4, 5, 6].map((resolution) =>
    el("option", { value: resolution, selected: (state().resolution ?? 4) === resolution }, `H3 ${resolution}`)));
  const form = el("form", { class: "question" }, [
    el("div", { class: "row wrap" }, [
      names.root,
      el("div", {}, [el("label", { for: "gap-words" }, say("gaps.words")), words]),
      el("div", {}, [el("label", { for: "gap-state" }, say("gaps.state")), sampling]),
      el("div", {}, [el("label", { for: "gap-size" }, say("gaps.resolution")), size]),
      el("button", { type: "submit", class: "main" }, say("gaps.find")),
    ]),
  ], { submit: (event) => {
    event.preventDefault();
    const asked = words.value.trim();
    find({ q: asked, taxon: asked ? null : state().taxon });
  } });
  const about = el("p", { class: "count", role: "status" });
  const visit = el("div", { class: "row wrap visit" });
  const list = el("ol", { class: "ranked", id: "answers", "aria-label": say("gaps.title") });
  const after = el("div");
  const ground = el("div", { class: "map", role: "region", "aria-label": say("map.label") });
  const detail = el("section", { class: "detail", "aria-live": "polite" });
  fill(root, form, about, el("div", { class: "split" }, [
    el("section", { class: "photos" }, [visit, list, after]),
    el("aside", { class: "beside" }, [ground, detail]),
  ]));

  let map: AtlasMap | null = null;
  let asking: AbortController | null = null;
  let explaining: AbortController | null = null;
  let found: Outlines | null = null;
  let gone = false;
  const opening = openMap(ground, state().bbox, say("map.label")).then((opened) => {
    if (gone) { opened.remove(); return null; }
    opened.onFeature("outlines", (id) => go({ cell: id }));
    return map = opened;
  });

  function find(change: Partial<State>): void {
    go({ ...change, bbox: map?.box() ?? state().bbox, state: sampling.value, resolution: Number(size.value), cell: "", picked: [] });
  }

  function query(now: State): string {
    const asked = new URLSearchParams({ limit: String(LISTED) });
    if (now.q) asked.set("text", now.q);
    else if (now.taxon !== null) asked.set("taxon", String(now.taxon));
    if (now.bbox) asked.set("bbox", now.bbox.join(","));
    if (now.state) asked.set("state", now.state);
    asked.set("resolution", String(now.resolution ?? 4));
    return asked.toString();
  }

  async function load(): Promise<void> {
    asking?.abort();
    const mine = asking = new AbortController();
    const now = state();
    found = null;
    list.replaceChildren();
    fill(visit);
    fill(about);
    if (!now.bbox || (!now.q && now.taxon === null)) {
      await (await opening)?.outlines(null);
      fill(after, nothing(say("gaps.choose")));
      if (now.taxon !== null && !now.q) await name(now.taxon, mine.signal);
      return;
    }
    fill(after, loading());
    try {
      const answer = await ask(`/v1/gaps?${query(now)}`, { signal: mine.signal, headers: { Accept: "application/geo+json" } });
      found = await answer.json() as Outlines;
      fill(after, found.features.length ? null : nothing(say("gaps.none")));
      fill(about, told(found.ranking.question.words), " ", say("gaps.matching", { n: found.ranking.matching, shown: found.features.length }));
      show();
    } catch (error) {
      if (!isGivenUp(error)) fill(after, failure(error, () => { void load(); }));
    }
  }

  async function name(taxon: number, signal: AbortSignal): Promise<void> {
    const named = await get<Taxon>(`/v1/taxa/${taxon}`, signal).catch(() => null);
    if (named) fill(about, named.scientific_name);
  }

  function show(): void {
    const now = state();
    const gaps = found?.features.map((feature) => feature.properties) ?? [];
    fill(list, ...gaps.map((gap) => el("li", { class: now.cell === gap.cell ? "gap chosen" : "gap" }, [
      el("div", { class: "row" }, [
        el("button", { type: "button", class: "link", "aria-expanded": String(now.cell === gap.cell) }, say("gaps.cell", { cell: gap.cell }), { click: () => go({ cell: gap.cell }) }),
        el("span", { class: `state ${gap.state}` }, say(`gaps.state.${gap.state as (typeof STATES)[number]}`)),
      ]),
      el("p", {}, told(gap.reason)),
      el("label", { class: "check" }, [
        el("input", { type: "checkbox", checked: now.picked.includes(gap.cell) }, [], { change: () => pick(gap.cell) }),
        ` ${say("gaps.add")}`,
      ]),
    ])));
    const picked = gaps.filter((gap) => now.picked.includes(gap.cell));
    const chosen = picked.length ? picked : gaps;
    fill(visit, ...(chosen.length ? [
      el("span", {}, picked.length ? say("gaps.visit", { n: picked.length }) : say("gaps.visitAll", { n: gaps.length })),
      button("GPX", () => download("visit.gpx", "application/gpx+xml", gpx(chosen, told(found?.ranking.question.words ?? "")))),
      button("GeoJSON", () => download("visit.geojson", "application/geo+json", JSON.stringify({
        type: "FeatureCollection", features: found?.features.filter((feature) => chosen.includes(feature.properties)) }))),
      button("CSV", () => download("visit.csv", "text/csv;charset=utf-8", visitTable(chosen))),
    ] : []));
    void map?.outlines({ type: "FeatureCollection", features: (found?.features ?? []).map((feature) => ({
      ...feature, properties: { id: feature.properties.cell, state: feature.properties.state,
        chosen: feature.properties.cell === now.cell || now.picked.includes(feature.properties.cell) } })) });
  }

  function pick(cell: string): void {
    const { picked } = state();
    go({ picked: picked.includes(cell) ? picked.filter((part) => part !== cell) : [...picked, cell] }, "replace");
  }

  async function explain(): Promise<void> {
    explaining?.abort();
    const mine = explaining = new AbortController();
    const now = state();
    if (!now.cell) return fill(detail);
    fill(detail, loading());
    try {
      // Words are ranked for several taxa; a cell is explained for the first of them.
      const taxon = now.taxon ?? found?.ranking.taxa[0]?.taxon_id ?? 0;
      const cell = await get<GapCell>(`/v1/gaps/${now.cell}?taxon=${taxon}`, mine.signal);
      fill(detail, gapDetail(cell, () => go({ cell: "" })));
      // On a phone the explanation is above the list.
      detail.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (!isGivenUp(error)) fill(detail, failure(error, () => { void explain(); }));
    }
  }

  void opening.then(() => load()).then(() => explain());
  return {
    changed: (now, before) => {
      const same = (["q", "taxon", "bbox", "state", "resolution"] as const).every((key) => String(now[key]) === String(before[key]));
      if (!same) void load().then(() => explain());
      else {
        show();
        if (now.cell !== before.cell) void explain();
      }
    },
    leave: () => { gone = true; asking?.abort(); explaining?.abort(); map?.remove(); },
  };
}

function visitTable(gaps: Gap[]): string {
  return csv(
    ["rank", "cell", "latitude", "longitude", "area_km2", "state", "score", "expected_new_species", "records", "visits", "reason"],
    gaps.map((gap, index) => [index + 1, gap.cell, gap.latitude, gap.longitude, gap.area_km2, gap.state, gap.score.score,
      gap.score.expected_new_species, gap.sampling.records, gap.sampling.visits, told(gap.reason)]));
}

