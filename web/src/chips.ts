// What was understood of the question, and what else limits it: each with a way to take it back.
import type { Interpretation, Span } from "./api";
import { el } from "./dom";
import { go, type State } from "./state";
import { told } from "./told";
import { months, number, say } from "./words";

export function chips(state: State, read: Interpretation | null, taxonName: string): HTMLElement | null {
  const shown = [...spans(state, read), ...limits(state, taxonName)];
  if (!shown.length) return null;
  return el("ul", { class: "chips", "aria-label": say("chips.label") }, shown);
}

function spans(state: State, read: Interpretation | null): HTMLElement[] {
  return (read?.spans ?? []).map((span) => {
    const key = `${span.kind}:${span.start}`;
    if (span.applied) {
      return chip(`${span.words} → ${meaning(span)}`, () => go({ without: [...state.without, key], marks: "" }));
    }
    const off = state.without.includes(key);
    return el("li", { class: "chip off" }, [
      el("span", {}, span.words), " ",
      el("span", { class: "faint" }, say("chips.off", { why: told(span.reason ?? "") })),
      off ? el("button", { type: "button", "aria-label": span.words }, "↺", {
        click: () => go({ without: state.without.filter((part) => part !== key), marks: "" }),
      }) : null,
    ]);
  });
}

/** What was understood, in words; docs/api.md has the fields of each kind. */
function meaning(span: Span): string {
  const { kind, value, note } = span;
  if (note) return told(note);
  if (kind === "taxon") return String(value.scientific_name);
  if (kind === "time") return timeMeant(value);
  if (kind === "near") return say("meant.near", { feature: say(`meant.${value.feature as Feature}`), km: number(Number(value.within_m) / 1000, 1) });
  if (kind === "elevation") return elevationMeant(value);
  return Object.values(value).flat().map(String).join(", ");
}

type Feature = "river" | "lake" | "coast" | "place";

function timeMeant(value: Span["value"]): string {
  const names = months();
  const listed = Array.isArray(value.months) ? value.months.map((month) => names[Number(month) - 1] ?? "").join(", ") : "";
  return [listed, value.from && say("chips.from", { day: String(value.from) }), value.to && say("chips.to", { day: String(value.to) })]
    .filter(Boolean).join(", ");
}

function elevationMeant({ min_m: least, max_m: most }: Span["value"]): string {
  return [typeof least === "number" && say("meant.above", { m: least }), typeof most === "number" && say("meant.below", { m: most })]
    .filter(Boolean).join(", ");
}

function limits(state: State, taxonName: string): HTMLElement[] {
  const shown: HTMLElement[] = [];
  const limit = (words: string, without: Partial<State>): void => {
    shown.push(chip(words, () => go({ marks: "", ...without })));
  };
  if (state.photo) limit(say("chips.photo"), { photo: false });
  if (state.image) limit(say("chips.similar"), { image: "" });
  if (state.taxon !== null) limit(say("chips.taxon", { name: taxonName }), { taxon: null });
  if (state.shape.length) limit(say("chips.shape"), { shape: [] });
  else if (state.bbox) limit(say("chips.bbox"), { bbox: null, follow: false });
  if (state.cells.length) limit(say("chips.cells", { n: state.cells.length }), { cells: [] });
  if (state.months.length) {
    const names = months();
    limit(say("chips.months", { months: state.months.map((month) => names[month - 1] ?? "").join(", ") }), { months: [] });
  }
  if (state.from) limit(say("chips.from", { day: state.from }), { from: "" });
  if (state.to) limit(say("chips.to", { day: state.to }), { to: "" });
  return shown;
}

function chip(words: string, remove: () => void): HTMLElement {
  return el("li", { class: "chip" }, [
    el("span", {}, words),
    el("button", { type: "button", "aria-label": say("chips.remove", { what: words }) }, "×", { click: remove }),
  ]);
}
