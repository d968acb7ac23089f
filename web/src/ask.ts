// The view of photos: question box, chips, grid, map and histogram, which are one thing.
import { get, type Hit, type Interpretation, type Range, type SearchAnswer, type Taxon } from "./api";
import { chips } from "./chips";
import { button, download, el, fill } from "./dom";
import { histogram } from "./histogram";
import type { AtlasMap } from "./map";
import { legendOf } from "./legend";
import { failure, isGivenUp, loading, nothing } from "./notices";
import { card } from "./photos";
import { isAsked, mapQuery, photoAtHand, search, upload } from "./question";
import { fresh, go, state, type State } from "./state";
import { taxonBox } from "./taxon_box";
import { markAt, markedTable, precision, withMark, type Mark } from "./verify";
import { number, say } from "./words";
import type { ViewOnPage } from "./view";

const PAGE = 30;
const MOST = 200;
const MOVED_WAIT_MS = 250;
const NARROW = "(max-width: 60rem)";
const EXAMPLES = { en: ["red-eyed frogs near rivers", "yellow birds in May", "blue butterflies since 2020"],
  es: ["ranas de ojos rojos", "aves amarillas en mayo", "mariposas azules desde 2020"] };

export function askView(root: HTMLElement): ViewOnPage {
  const field = el("input", { type: "search", id: "question", autocomplete: "off", placeholder: say("ask.placeholder"), value: state().q });
  const file = el("input", { type: "file", accept: "image/*", id: "photo", class: "hidden-file" });
  const names = taxonBox("", (taxon) => go(fresh({ q: taxon.scientific_name, taxon: taxon.taxon_id })), field);
  const form = el("form", { class: "question", role: "search" }, [
    el("label", { for: "question" }, say("ask.label")),
    el("div", { class: "row" }, [
      el("div", { class: "grow under" }, [field, names.root]),
      el("button", { type: "submit", class: "main" }, say("ask.button")),
      el("label", { for: "photo", class: "button" }, say("ask.photo")), file,
    ]),
    el("p", { class: "faint" }, say("ask.drop")),
  ], { submit: (event) => {
    event.preventDefault();
    names.close();
    go({ q: field.value.trim(), image: "", photo: false, without: [], marks: "", taxon: null, cells: [] });
  } });
  file.addEventListener("change", () => { if (file.files?.[0]) askWith(file.files[0]); });

  const understood = el("div", { class: "understood" });
  const count = el("p", { class: "count", role: "status" });
  const verifying = el("div", { class: "verifying" });
  const grid = el("ol", { class: "grid", id: "answers", "aria-label": say("hits.title") });
  const after = el("div", { class: "after" });
  const ground = el("div", { class: "map", role: "region", "aria-label": say("map.label") });
  const tools = el("div", { class: "tools" });
  const time = el("section", { class: "time", "aria-label": say("time.title") });
  const key = el("div", { class: "legend" });
  fill(root,
    form, understood,
    el("div", { class: "split" }, [
      el("section", { class: "photos", "aria-label": say("hits.title") }, [count, verifying, grid, after]),
      // On a phone the map is above the photos, folded until it is asked for.
      el("aside", { class: "beside" }, [el("details", { open: !matchMedia(NARROW).matches }, [
        el("summary", {}, say("map.fold")), tools, ground, key, time])]),
    ]));

  let hits: Hit[] = [];
  let read: Interpretation | null = null;
  let cursor: string | null = null;
  let asking: AbortController | null = null;
  let map: AtlasMap | null = null;
  let taxonName = "";
  let gone = false;
  let timeOf = "";

  function askWith(photo: File): void {
    upload(photo);
    const again = state().photo;
    go(fresh({ photo: true }));
    // Another photo has the same address.
    if (again) void load(false);
  }

  const events = { pointed: (hit: Hit | null): void => {
    void map?.point(hit && hit.lat !== null && hit.lon !== null ? { id: hit.image_id, lat: hit.lat, lon: hit.lon } : null);
    } };

  function showCount(answer: SearchAnswer | null): void {
    fill(count, answer ? say("hits.matching", { n: answer.matching, shown: hits.length }) : "",
      answer?.held_back ? ` · ${say("hits.heldBack", { n: answer.held_back })}` : null,
      answer?.interpretation?.notice ? ` · ${answer.interpretation.notice}` : null);
  }

  async function load(more: boolean): Promise<void> {
    asking?.abort();
    const mine = asking = new AbortController();
    const now = state();
    if (!more) { hits = []; cursor = null; }
    if (now.photo && !photoAtHand()) return showNothing(say("ask.photoGone"));
    if (!isAsked(now)) return welcome();
    fill(after, loading());
    grid.setAttribute("aria-busy", "true");
    try {
      const limit = Math.min(MOST, Math.max(PAGE, more ? 0 : now.marks.length));
      const answer = await search(now, limit, more ? cursor : null, mine.signal);
      if (!more) grid.replaceChildren();
      const first = hits.length;
      hits = [...hits, ...answer.hits];
      cursor = answer.next_cursor;
      read = answer.interpretation ?? read;
      grid.append(...answer.hits.map((hit, index) => card(hit, first + index, events)));
      if (grid.firstElementChild) grid.firstElementChild.setAttribute("tabindex", "0");
      fill(after, cursor ? button(say("hits.more"), () => { void load(true); }) : null);
      if (!hits.length) fill(after, nothing(say("hits.none")));
      showCount(answer);
      showUnderstood();
      showMarks();
      void showPlaces(!more);
      void showTime();
    } catch (error) {
      if (isGivenUp(error)) return;
      if (!more) grid.replaceChildren();
      fill(after, failure(error, () => { void load(more); }));
    } finally {
      if (asking === mine) grid.setAttribute("aria-busy", "false");
    }
  }

  function showNothing(words: string, ...more: HTMLElement[]): void {
    grid.replaceChildren();
    read = null;
    showCount(null);
    showUnderstood();
    showMarks();
    fill(after, nothing(words, ...more));
    void map?.places([]);
    void showTime();
  }

  function welcome(): void {
    const examples = EXAMPLES[document.documentElement.lang === "es" ? "es" : "en"];
    showNothing(say("ask.welcome"), el("p", {}, say("ask.examples")), el("div", { class: "row wrap" },
      examples.map((words) => button(words, () => go(fresh({ q: words }))))));
  }

  function showUnderstood(): void {
    fill(understood, chips(state(), read, taxonName));
  }

  async function showPlaces(fresh_: boolean): Promise<void> {
    const places = hits.flatMap((hit) => hit.lat !== null && hit.lon !== null ? [{ id: hit.image_id, lat: hit.lat, lon: hit.lon }] : []);
    const drawn = await mapAtHand();
    if (!drawn) return;
    await drawn.places(places);
    await drawn.shape(state().shape);
    if (fresh_ && !state().bbox && !state().shape.length && !state().cells.length) drawn.showPlaces(places);
  }

  /** The taxon whose cells and seasons stand beside the photos: stated, read from the words, or all life. */
  function taxonShown(): number {
    const span = read?.spans.find((part) => part.kind === "taxon" && part.applied);
    return state().taxon ?? (typeof span?.value.taxon_id === "number" ? span.value.taxon_id : 0);
  }

  async function showTime(): Promise<void> {
    const taxon = taxonShown();
    const wanted = `${taxon} ${state().months.join()} ${state().from} ${state().to}`;
    if (wanted === timeOf) return;
    timeOf = wanted;
    try {
      const [range, named] = await Promise.all([get<Range>(`/v1/taxa/${taxon}/range`), get<Taxon>(`/v1/taxa/${taxon}`)]);
      if (gone || wanted !== timeOf) return;
      if (state().taxon === taxon) { taxonName = named.scientific_name; showUnderstood(); }
      fill(time, el("h2", {}, say("time.of", { name: named.common_name ?? named.scientific_name })), histogram(range, state()));
    } catch (error) {
      timeOf = "";
      fill(time, failure(error, () => { void showTime(); }));
    }
    const legend = await (await mapAtHand())?.cells({ layer: "occurrence", taxon, query: mapQuery(state()), opacity: 0.45 });
    fill(key, legend ? legendOf(legend) : null);
  }

  // Verify mode
  function showMarks(): void {
    const now = state();
    root.classList.toggle("is-verifying", now.verify);
    const found = precision(now.marks);
    const share = (part: number): string => `${number(part * 100, 0)} %`;
    fill(verifying,
      hits.length ? button(say(now.verify ? "verify.stop" : "verify.start"), () => go({ verify: !now.verify }), { "aria-pressed": String(now.verify) }) : null,
      now.verify ? el("span", { class: "faint" }, say("verify.help")) : null,
      now.verify ? el("span", { class: "precision", role: "status" }, found
        ? say("verify.precision", { right: found.right, n: found.marked, share: share(found.share), lower: share(found.lower), upper: share(found.upper) })
        : say("verify.none")) : null,
      now.verify && found ? button(say("verify.export"), () => download("marked.csv", "text/csv;charset=utf-8", markedTable(hits, now.marks, now.q || now.image || "photo"))) : null);
    for (const item of grid.children) {
      const mark = now.verify ? markAt(now.marks, Number((item as HTMLElement).dataset.number)) : "-";
      item.classList.toggle("right", mark === "r");
      item.classList.toggle("wrong", mark === "w");
      fill(item.querySelector(".mark")!, mark === "r" ? `✓ ${say("verify.right")}` : mark === "w" ? `✗ ${say("verify.wrong")}` : null);
    }
  }

  function step(from: Element, by: number): void {
    const cards = [...grid.children] as HTMLElement[];
    const next = cards[cards.indexOf(from as HTMLElement) + by];
    if (!next) return;
    from.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  }

  grid.addEventListener("keydown", (event) => {
    const on = (event.target as HTMLElement).closest<HTMLElement>(".card");
    if (!on || event.ctrlKey || event.metaKey || event.altKey) return;
    const columns = Math.max(1, getComputedStyle(grid).gridTemplateColumns.split(" ").length);
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (by) { event.preventDefault(); return step(on, by); }
    const marks: { [key: string]: Mark } = { r: "r", w: "w", u: "-" };
    const mark = marks[event.key.toLowerCase()];
    if (!state().verify || !mark) return;
    event.preventDefault();
    go({ marks: withMark(state().marks, Number(on.dataset.number), mark) }, "replace");
    if (mark !== "-") step(on, 1);
  });

  // The map is loaded after the first photos are asked for: its library is the largest part of the page.
  let opening: Promise<AtlasMap> | null = null;
  async function mapAtHand(): Promise<AtlasMap | null> {
    if (gone) return null;
    opening ??= import("./map").then(({ AtlasMap: Opened }) => {
      const opened = new Opened(ground, state().bbox, say("map.label"));
      let timer = 0;
      opened.onMoved((box, byPerson) => {
        if (!state().follow || !byPerson) return;
        clearTimeout(timer);
        timer = window.setTimeout(() => go({ bbox: box, shape: [], marks: "" }, "replace"), MOVED_WAIT_MS);
      });
      opened.onFeature("places", (id) => {
        const item = grid.querySelector<HTMLElement>(`[data-id="${id}"]`);
        item?.scrollIntoView({ block: "center" });
        item?.focus();
      });
      opened.onCell((cell) => { if (picking) go({ cells: toggled(state().cells, cell), marks: "" }); });
      return map = opened;
    });
    const opened = await opening;
    if (gone) opened.remove();
    return gone ? null : opened;
  }

  let picking = false;
  function showTools(): void {
    const follow = el("input", { type: "checkbox", id: "follow", checked: state().follow }, [], {
      change: (event) => go((event.target as HTMLInputElement).checked && map ? { follow: true, bbox: map.box(), marks: "" } : { follow: false }),
    });
    const hint = el("span", { class: "faint", role: "status" });
    fill(tools,
      button(say("map.here"), () => { void mapAtHand().then((drawn) => { if (drawn) go({ bbox: drawn.box(), shape: [], marks: "" }); }); }),
      button(say("map.draw"), () => {
        fill(hint, say("map.drawing"));
        void mapAtHand().then((drawn) => drawn?.draw() ?? null).then((shape) => {
          fill(hint);
          if (shape) go({ shape, bbox: null, follow: false, marks: "" });
          else void map?.shape(state().shape);
        });
      }),
      button(say("map.pick"), (): void => { picking = !picking; showTools(); }, { "aria-pressed": String(picking) }),
      el("label", { class: "check" }, [follow, ` ${say("map.follow")}`]), hint);
  }

  const changed = (now: State, before: State): void => {
    const same = (["q", "image", "photo", "taxon", "bbox", "shape", "cells", "months", "from", "to", "without"] as const)
      .every((key_) => String(now[key_]) === String(before[key_]));
    if (field.value !== now.q && document.activeElement !== field) field.value = now.q;
    showTools();
    if (same) showMarks();
    else void load(false);
  };
  const dropped = (event: DragEvent): void => {
    const photo = [...(event.dataTransfer?.files ?? [])].find((given) => given.type.startsWith("image/"));
    event.preventDefault();
    if (photo) askWith(photo);
  };
  const pasted = (event: ClipboardEvent): void => {
    const photo = [...(event.clipboardData?.files ?? [])].find((given) => given.type.startsWith("image/"));
    if (photo) { event.preventDefault(); askWith(photo); }
  };
  const over = (event: DragEvent): void => event.preventDefault();
  document.addEventListener("dragover", over);
  document.addEventListener("drop", dropped);
  document.addEventListener("paste", pasted);
  showTools();
  void load(false);
  void mapAtHand();
  return {
    changed,
    leave: () => {
      gone = true;
      asking?.abort();
      map?.remove();
      document.removeEventListener("dragover", over);
      document.removeEventListener("drop", dropped);
      document.removeEventListener("paste", pasted);
    },
  };
}

function toggled(list: string[], one: string): string[] {
  return list.includes(one) ? list.filter((part) => part !== one) : [...list, one];
}
