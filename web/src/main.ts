// The page: its frame, and which view the address asks for.
import "./page.css";
import { atlasPage } from "./api";
import { askView } from "./ask";
import { el, fill } from "./dom";
import { go, onChange, state, writeState, type State, type View } from "./state";
import type { ViewOnPage } from "./view";
import { say, speak, spoken, type Language } from "./words";

const VIEWS: readonly View[] = ["ask", "species", "gaps"];
const page = document.getElementById("page")!;
let shown: { view: View; language: Language; on: ViewOnPage } | null = null;

function languageOf(now: State): Language {
  const wanted = now.lang || navigator.language.slice(0, 2);
  return wanted === "es" ? "es" : "en";
}

function link(words: string, there: Partial<State>, current: boolean): HTMLElement {
  return el("a", { href: writeState({ ...state(), ...there }), "aria-current": current ? "page" : null }, words, {
    click: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go(there);
    },
  });
}

/** What carries over to another view: the taxon, the words and the area. */
function head(now: State): HTMLElement {
  const other: Language = spoken() === "en" ? "es" : "en";
  return el("header", {}, [
    el("a", { class: "skip", href: "#answers" }, say("skip")),
    el("div", { class: "brand" }, say("title")),
    el("nav", { "aria-label": say("nav") }, VIEWS.map((view) =>
      link(say(`nav.${view}`), { view, verify: false, marks: "", cell: "", picked: [] }, view === now.view))),
    el("div", { class: "grow" }),
    el("a", { href: writeState({ ...now, lang: other }), lang: other, hreflang: other }, say("language"), {
      click: (event) => { event.preventDefault(); go({ lang: other }); } }),
    el("a", { href: "/schema" }, say("api")),
  ]);
}

function frame(now: State, before: State | null): void {
  speak(languageOf(now));
  if (shown && before && shown.view === now.view && shown.language === spoken()) {
    page.querySelector("header")?.replaceWith(head(now));
    shown.on.changed(now, before);
    return;
  }
  shown?.on.leave();
  const main = el("main", { class: `view ${now.view}` });
  const banner = el("p", { class: "banner", hidden: true });
  fill(page, head(now), banner, main);
  const view = now.view;
  const mine: NonNullable<typeof shown> = { view, language: spoken(), on: { changed: () => undefined, leave: () => { left = true; } } };
  let left = false;
  shown = mine;
  if (view === "ask") mine.on = askView(main);
  else void (view === "species" ? import("./species").then((part) => part.speciesView) : import("./gaps").then((part) => part.gapsView))
    .then((open) => { if (!left) mine.on = open(main); });
  void atlasPage().then((about) => {
    if (about.demonstration) { banner.hidden = false; banner.textContent = say("demonstration"); }
  }, () => undefined);
}

onChange(frame);
frame(state(), null);
