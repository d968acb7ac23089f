// The view of photos: question box, chips, grid, map and bars of time, which are one thing.
import { get, type Hit, type Interpretation, type SearchAnswer, type Taxon } from "./api";
import { askForm } from "./ask_form";
import { askMap } from "./ask_map";
import { marksOf } from "./ask_marks";
import { askTime } from "./ask_time";
import { chips } from "./chips";
import { button, el, fill } from "./dom";
import { failure, isGivenUp, loading, nothing } from "./notices";
import { card, firstPictures } from "./photos";
import { isAsked, photoAtHand, search, upload } from "./question";
import { fresh, go, state, type State } from "./state";
import { told } from "./told";
import { say, spoken } from "./words";
import type { ViewOnPage } from "./view";

const PAGE = 30;
const MOST = 200;
const NARROW = "(max-width: 60rem)";
const EXAMPLES = { en: ["red-eyed frogs near rivers", "yellow birds in May", "blue butterflies since 2020"],
  es: ["ranas de ojos rojos", "aves amarillas en mayo", "mariposas azules desde 2020"] };
/** What the list of photos depends on. */
const ASKED = ["q", "image", "photo", "taxon", "bbox", "shape", "cells", "months", "from", "to", "without"] as const;

export function askView(root: HTMLElement): ViewOnPage {
  const understood = el("div", { class: "understood" });
  const count = el("p", { class: "count", role: "status" });
  const grid = el("ol", { class: "grid", id: "answers", "aria-label": say("hits.title") });
  const after = el("div", { class: "after" });
  const form = askForm(askWith);
  const map = askMap(focusOn);
  const time = askTime();
  const marks = marksOf(root, grid);
  fill(root,
    form.root, understood,
    el("div", { class: "split" }, [
      el("section", { class: "photos", "aria-label": say("hits.title") }, [count, marks.bar, grid, after]),
      // On a phone the map is above the photos, folded until it is asked for.
      el("aside", { class: "beside" }, [el("details", { open: !matchMedia(NARROW).matches }, [
        el("summary", {}, say("map.fold")), map.tools, map.ground, map.key, time.root])]),
    ]));

  let hits: Hit[] = [];
  let read: Interpretation | null = null;
  let cursor: string | null = null;
  let asking: AbortController | null = null;
  let named: { taxon: number; name: string } | null = null;

  function askWith(photo: File): void {
    upload(photo);
    const again = state().photo;
    go(fresh({ photo: true }));
    // Another photo has the same address.
    if (again) void load(false);
  }

  function focusOn(imageId: string): void {
    const item = grid.querySelector<HTMLElement>(`[data-id="${imageId}"]`);
    item?.scrollIntoView({ block: "center" });
    item?.focus();
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
      showHits(answer, more);
      // The map and the bars take the processor from the pictures, so they wait for the first ones.
      await firstPictures(grid, mine.signal);
      void showBeside(!more);
    } catch (error) {
      if (isGivenUp(error)) return;
      if (!more) grid.replaceChildren();
      fill(after, failure(error, () => { void load(more); }));
    } finally {
      if (asking === mine) grid.setAttribute("aria-busy", "false");
    }
  }

  function showHits(answer: SearchAnswer, more: boolean): void {
    const first = more ? hits.length : 0;
    hits = [...hits, ...answer.hits];
    cursor = answer.next_cursor;
    read = answer.interpretation;
    const cards = answer.hits.map((hit, index) => card(hit, first + index, { pointed: map.point }));
    if (more) grid.append(...cards);
    else grid.replaceChildren(...cards);
    grid.firstElementChild?.setAttribute("tabindex", "0");
    fill(after, cursor ? button(say("hits.more"), () => { void load(true); }) : null);
    if (!hits.length) fill(after, nothing(say("hits.none")));
    showCount(answer);
    showUnderstood();
    marks.show(hits);
  }

  async function showBeside(fitted: boolean): Promise<void> {
    void time.show(hits);
    await map.places(hits, fitted);
    await map.cells(taxonShown());
  }

  function showNothing(words: string, ...more: HTMLElement[]): void {
    grid.replaceChildren();
    read = null;
    showCount(null);
    showUnderstood();
    marks.show(hits);
    fill(after, nothing(words, ...more));
    void showBeside(false);
  }

  function welcome(): void {
    showNothing(say("ask.welcome"), el("p", {}, say("ask.examples")), el("div", { class: "row wrap" },
      EXAMPLES[spoken()].map((words) => button(words, () => go(fresh({ q: words }))))));
  }

  function showCount(answer: SearchAnswer | null): void {
    fill(count, answer ? say("hits.matching", { n: answer.matching, shown: hits.length }) : "",
      answer?.held_back ? ` · ${say("hits.heldBack", { n: answer.held_back })}` : null,
      answer?.interpretation?.notice ? ` · ${told(answer.interpretation.notice)}` : null);
  }

  function showUnderstood(): void {
    const { taxon } = state();
    fill(understood, chips(state(), read, taxon === named?.taxon ? named?.name ?? "" : ""));
    if (taxon !== null && taxon !== named?.taxon) void nameTaxon(taxon);
  }

  /** An address has a taxon's number only. */
  async function nameTaxon(taxon: number): Promise<void> {
    try {
      named = { taxon, name: (await get<Taxon>(`/v1/taxa/${taxon}`)).scientific_name };
    } catch {
      // The search says what is wrong with a taxon; its chip keeps the number.
      named = { taxon, name: String(taxon) };
    }
    if (state().taxon === taxon) showUnderstood();
  }

  /** The taxon whose cells are beside the photos: stated, read from the words, or all life. */
  function taxonShown(): number {
    const span = read?.spans.find((part) => part.kind === "taxon" && part.applied);
    return state().taxon ?? (typeof span?.value.taxon_id === "number" ? span.value.taxon_id : 0);
  }

  map.changed();
  void load(false);
  return {
    changed: (now: State, before: State): void => {
      form.changed(now.q);
      map.changed();
      if (ASKED.every((key) => String(now[key]) === String(before[key]))) marks.show(hits);
      else void load(false);
    },
    leave: () => {
      asking?.abort();
      form.leave();
      time.leave();
      map.leave();
    },
  };
}
