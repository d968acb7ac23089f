// Verify mode: moving among the photos and marking them from the keyboard, precision, export.
import type { Hit } from "./api";
import { button, download, el, fill } from "./dom";
import { go, state } from "./state";
import { markAt, markedTable, precision, withMark, type Mark } from "./verify";
import { number, say } from "./words";

const MARKS: { [key: string]: Mark } = { r: "r", w: "w", u: "-" };

export interface Marks { bar: HTMLElement; show(hits: Hit[]): void }

/** The bar of verifying above `grid`, whose photos it marks. */
export function marksOf(root: HTMLElement, grid: HTMLElement): Marks {
  const bar = el("div", { class: "verifying" });
  grid.addEventListener("keydown", (event) => pressed(event, grid));
  return { bar, show: (hits) => {
    const now = state();
    root.classList.toggle("is-verifying", now.verify);
    fill(bar, ...(hits.length ? controls(hits) : []));
    for (const item of grid.children) showMark(item as HTMLElement, now.verify ? now.marks : "");
  } };
}

function controls(hits: Hit[]): (HTMLElement | null)[] {
  const now = state();
  const toggle = button(say(now.verify ? "verify.stop" : "verify.start"), () => go({ verify: !now.verify }), { "aria-pressed": String(now.verify) });
  if (!now.verify) return [toggle];
  const found = precision(now.marks);
  const share = (part: number): string => `${number(part * 100, 0)} %`;
  const words = found ? say("verify.precision", { right: found.right, n: found.marked, share: share(found.share),
    lower: share(found.lower), upper: share(found.upper) }) : say("verify.none");
  return [
    toggle,
    el("span", { class: "faint" }, say("verify.help")),
    el("span", { class: "precision", role: "status" }, words),
    found && button(say("verify.export"), () => download("marked.csv", "text/csv;charset=utf-8",
      markedTable(hits, now.marks, now.q || now.image || "photo"))),
  ];
}

function showMark(item: HTMLElement, marks: string): void {
  const mark = markAt(marks, Number(item.dataset.number));
  item.classList.toggle("right", mark === "r");
  item.classList.toggle("wrong", mark === "w");
  fill(item.querySelector(".mark")!, mark === "r" ? `✓ ${say("verify.right")}` : mark === "w" ? `✗ ${say("verify.wrong")}` : null);
}

function pressed(event: KeyboardEvent, grid: HTMLElement): void {
  const on = (event.target as HTMLElement).closest<HTMLElement>(".card");
  if (!on || event.ctrlKey || event.metaKey || event.altKey) return;
  const columns = Math.max(1, getComputedStyle(grid).gridTemplateColumns.split(" ").length);
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  if (by) { event.preventDefault(); return step(on, by); }
  const mark = MARKS[event.key.toLowerCase()];
  if (!state().verify || !mark) return;
  event.preventDefault();
  go({ marks: withMark(state().marks, Number(on.dataset.number), mark) }, "replace");
  if (mark !== "-") step(on, 1);
}

/** Move the focus by so many photos; the grid is one stop of the Tab key. */
function step(from: HTMLElement, by: number): void {
  const cards = [...from.parentElement!.children] as HTMLElement[];
  const next = cards[cards.indexOf(from) + by];
  if (!next) return;
  from.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}
