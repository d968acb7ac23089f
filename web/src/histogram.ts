// Months and years as bars that can be pressed: each is a button, so the keyboard reaches it.
import type { Range } from "./api";
import { el } from "./dom";
import { go, type State } from "./state";
import { months, say, type Word } from "./words";

/** `n` is the bar's height; `shown`, of the photos that are listed, and `effort` are marks on it. */
export interface Bar { n: number; shown?: number; effort?: number }
/** What the bars count; `words` say it, with `{when}`, `{n}` and `{shown}`. */
export interface Bars { months: Bar[]; years: (Bar & { year: number })[]; words: Word }

/** Bars of a taxon's records, with the effort of its group where that is wanted. */
export function barsOfRange({ seasons }: Range): Bars {
  const total = seasons.months.reduce((sum, n) => sum + n, 0);
  return {
    months: seasons.months.map((n, index) => ({ n, effort: (seasons.effort_share[index] ?? 0) * total })),
    years: seasons.years.map(({ year, records }) => ({ year, n: records })),
    words: "time.bar",
  };
}

/** Bars; pressing one limits the state to that month or year, or takes that back. */
export function histogram(bars: Bars, state: State): HTMLElement {
  const names = months();
  const monthly = bars.months.map((bar, index) => column(bar, bars, Math.max(...bars.months.map(({ n }) => n)), {
    when: names[index] ?? "", label: (names[index] ?? "").slice(0, 1).toUpperCase(), pressed: state.months.includes(index + 1),
    press: () => go({ months: toggled(state.months, index + 1), marks: "" }),
  }));
  const most = Math.max(...bars.years.map(({ n }) => n), 1);
  const every = Math.max(1, Math.ceil(bars.years.length / 5));
  const yearly = bars.years.map((bar, index) => {
    const pressed = state.from === `${bar.year}-01-01` && state.to === `${bar.year}-12-31`;
    return column(bar, bars, most, {
      when: String(bar.year), label: index % every === 0 ? String(bar.year) : "", pressed,
      press: () => go(pressed ? { from: "", to: "", marks: "" } : { from: `${bar.year}-01-01`, to: `${bar.year}-12-31`, marks: "" }),
    });
  });
  return el("div", { class: "histogram" }, [
    el("div", { class: "bars", role: "group", "aria-label": say("time.months") }, monthly),
    el("div", { class: "bars", role: "group", "aria-label": say("time.years") }, yearly),
  ]);
}

interface Pressable { when: string; label: string; pressed: boolean; press(): void }

function column(bar: Bar, { words: form }: Bars, most: number, { when, label, pressed, press }: Pressable): HTMLElement {
  const height = (value: number): string => `${Math.min(100, Math.round((value / Math.max(most, 1)) * 100))}%`;
  const filled = el("span", { class: "filled" });
  filled.style.height = height(bar.n);
  const line = bar.effort === undefined ? null : el("span", { class: "effort-line" });
  if (line) line.style.bottom = height(bar.effort ?? 0);
  const words = say(form, { when, n: bar.n, shown: bar.shown ?? 0 });
  return el("button", { type: "button", class: "bar", title: words, "aria-label": words, "aria-pressed": String(pressed) }, [
    el("span", { class: "column" }, [filled, line, bar.shown ? el("span", { class: "listed" }) : null]),
    el("span", { class: "tick", "aria-hidden": "true" }, label),
  ], { click: press });
}

function toggled(months_: number[], month: number): number[] {
  return months_.includes(month) ? months_.filter((each) => each !== month) : [...months_, month].sort((a, b) => a - b);
}
