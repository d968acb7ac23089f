// Completion of names: a combobox as the ARIA practices describe it.
import { get, type NameMatch } from "./api";
import { el, fill } from "./dom";
import { told } from "./told";
import { say } from "./words";

const WAIT_MS = 120;
let boxes = 0;

export interface TaxonBox { root: HTMLElement; input: HTMLInputElement; close(): void }

/** Complete names in `input`, or in a field of its own; `chosen` is told the taxon. */
export function taxonBox(
  label: string, chosen: (taxon: NameMatch) => void, input?: HTMLInputElement, word?: (text: string) => string,
): TaxonBox {
  const id = `names-${++boxes}`;
  const field = input ?? el("input", { type: "search", id: `${id}-field`, autocomplete: "off", spellcheck: "false" });
  const list = el("ul", { id, role: "listbox", class: "names", hidden: true, "aria-label": say("taxon.label") });
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-expanded": "false", "aria-controls": id, "aria-autocomplete": "list",
  })) field.setAttribute(name, value);
  let found: NameMatch[] = [];
  let at = -1;
  let timer = 0;
  let asking: AbortController | null = null;

  const close = (): void => {
    clearTimeout(timer);
    asking?.abort();
    list.hidden = true;
    at = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };
  const choose = (taxon: NameMatch): void => { close(); chosen(taxon); };
  const mark = (next: number): void => {
    at = next;
    [...list.children].forEach((item, number) => item.setAttribute("aria-selected", String(number === at)));
    if (at >= 0) field.setAttribute("aria-activedescendant", `${id}-${at}`);
    else field.removeAttribute("aria-activedescendant");
  };
  const offer = async (text: string): Promise<void> => {
    asking?.abort();
    asking = new AbortController();
    try {
      found = (await get<{ taxa: NameMatch[] }>(`/v1/taxa?q=${encodeURIComponent(text)}&limit=8`, asking.signal)).taxa;
    } catch (error) {
      // Completion is a help: a question can be asked without it, and typing on asks again.
      if (!(error instanceof DOMException)) close();
      return;
    }
    fill(list, ...found.map((taxon, number) => el("li", { id: `${id}-${number}`, role: "option", "aria-selected": "false" }, [
      el("span", { class: "name" }, taxon.common_name ?? taxon.scientific_name),
      " ", el("i", {}, taxon.scientific_name),
      el("span", { class: "faint" }, ` ${told(taxon.rank)}, ${say("taxon.images", { n: taxon.images })}`),
    ], { mousedown: (event) => { event.preventDefault(); choose(taxon); } })));
    if (!found.length && !input) fill(list, el("li", { class: "faint", role: "option", "aria-disabled": "true", "aria-selected": "false" }, say("taxon.none")));
    list.hidden = !list.children.length;
    field.setAttribute("aria-expanded", String(!list.hidden));
    mark(-1);
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    const text = (word ? word(field.value) : field.value).trim();
    if (text.length < 2) return close();
    timer = window.setTimeout(() => { void offer(text); }, WAIT_MS);
  });
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step) {
      event.preventDefault();
      mark((at + step + found.length + 1) % (found.length + 1) === found.length ? -1 : (at + step + found.length + 1) % (found.length + 1));
    } else if (event.key === "Escape") close();
    else if (event.key === "Enter" && (at >= 0 || !input)) {
      const taxon = found[Math.max(at, 0)];
      if (taxon) { event.preventDefault(); choose(taxon); }
    }
  });
  field.addEventListener("blur", close);
  const root = input ? el("div", { class: "names-under" }, [list])
    : el("div", { class: "taxon-box" }, [el("label", { for: field.id }, label), field, list]);
  return { root, input: field, close };
}
