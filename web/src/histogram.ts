// Months and years as bars that can be pressed: each is a button, so the keyboard reaches it.
import type { Range } from "./api";
import { el } from "./dom";
import { go, type State } from "./state";
import { months, say } from "./words";

/** Bars of a taxon's records; pressing limits the state to that month or year. */
export function histogram(range: Range, state: State, withEffort = false): HTMLElement {
  const names = months();
  const { seasons } = range;
  const total = seasons.months.reduce((sum, n) => sum + n, 0);
  const monthly = seasons.months.map((n, index) => bar({
    n, most: Math.max(...seasons.months), when: names[index] ?? "", label: (names[index] ?? "").slice(0, 1).toUpperCase(),
    pressed: state.months.includes(index + 1), effort: withEffort ? (seasons.effort_share[index] ?? 0) * total : null,
    press: () => {
      const chosen = state.months.includes(index + 1)
        ? state.months.filter((month) => month !== index + 1) : [...state.months, index + 1].sort((a, b) => a - b);
      go({ months: chosen, marks: "" });
    },
  }));
  const most = Math.max(...seasons.years.map((year) => year.records), 1);
  const yearly = seasons.years.map(({ year, records }) => {
    const pressed = state.from === `${year}-01-01` && state.to === `${year}-12-31`;
    return bar({
      n: records, most, when: String(year), label: year % 5 === 0 ? String(year) : "", pressed, effort: null,
      press: () => go(pressed ? { from: "", to: "", marks: "" } : { from: `${year}-01-01`, to: `${year}-12-31`, marks: "" }),
    });
  });
  return el("div", { class: "histogram" }, [
    el("div", { class: "bars", role: "group", "aria-label": say("time.months") }, monthly),
    el("div", { class: "bars", role: "group", "aria-label": say("time.years") }, yearly),
  ]);
}

interface Bar {
  n: number; most: number; when: string; label: string; pressed: boolean; effort: number | null; press(): void;
}

function bar({ n, most, when, label, pressed, effort, press }: Bar): HTMLElement {
  const height = (value: number): string => `${Math.min(100, Math.round((value / Math.max(most, 1)) * 100))}%`;
  const filled = el("span", { class: "filled" });
  filled.style.height = height(n);
  const line = effort === null ? null : el("span", { class: "effort-line" });
  if (line) line.style.bottom = height(effort ?? 0);
  const words = say("time.bar", { when, n });
  return el("button", { type: "button", class: "bar", title: words, "aria-label": words, "aria-pressed": String(pressed) }, [
    el("span", { class: "column" }, [filled, line]), el("span", { class: "tick", "aria-hidden": "true" }, label),
  ], { click: press });
}
