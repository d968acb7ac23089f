// What was understood of the question, and what else limits it: each with a way to take it back.
import type { Interpretation, Span } from "./api";
import { el } from "./dom";
import { go, type State } from "./state";
import { months, say } from "./words";

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
      el("span", { class: "faint" }, say("chips.off", { why: span.reason ?? "" })),
      off ? el("button", { type: "button", "aria-label": span.words }, "↺", {
        click: () => go({ without: state.without.filter((part) => part !== key), marks: "" }),
      }) : null,
    ]);
  });
}

function meaning(span: Span): string {
  const value = span.value;
  if (typeof value.scientific_name === "string") return value.scientific_name;
  return Object.entries(value).filter(([, part]) => part !== null && part !== undefined)
    .map(([name, part]) => `${name.replaceAll("_", " ")} ${Array.isArray(part) ? part.join(", ") : String(part)}`)
    .join(", ");
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
