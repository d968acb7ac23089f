// When the photos of the question were taken: bars that limit it, with those that are listed marked.
import type { Hit } from "./api";
import { el, fill } from "./dom";
import { histogram, type Bars } from "./histogram";
import { failure, isGivenUp } from "./notices";
import { isAsked, seasons, type Seasons } from "./question";
import { state, type State } from "./state";
import { say } from "./words";

export interface AskTime { root: HTMLElement; show(hits: Hit[]): Promise<void>; leave(): void }

export function askTime(): AskTime {
  const root = el("section", { class: "time", "aria-label": say("time.title") });
  let asking: AbortController | null = null;
  let counted: { of: string; seasons: Seasons } | null = null;

  async function show(hits: Hit[]): Promise<void> {
    const now = state();
    // A photo limits nothing, so its bars are those of the other limits.
    const of = JSON.stringify([now.q, now.taxon, now.bbox, now.shape, now.cells, now.without, isAsked(now)]);
    try {
      if (counted?.of !== of) {
        asking?.abort();
        const mine = asking = new AbortController();
        counted = { of, seasons: await seasons(now, mine.signal) };
      }
      draw(counted.seasons, hits, now);
    } catch (error) {
      if (isGivenUp(error)) return;
      counted = null;
      fill(root, failure(error, () => { void show(hits); }));
    }
  }

  function draw(found: Seasons, hits: Hit[], now: State): void {
    const title = isAsked(now) ? say("time.question", { n: found.matching }) : say("time.all", { n: found.matching });
    fill(root, el("h2", {}, title), histogram(barsOf(found, hits), now));
  }

  return { root, show, leave: () => asking?.abort() };
}

function barsOf(found: Seasons, hits: Hit[]): Bars {
  const days = hits.flatMap((hit) => hit.observed_on?.split("/")[0] ?? []);
  return {
    months: found.months.map((n, index) => ({ n, shown: days.filter((day) => Number(day.slice(5, 7)) === index + 1).length })),
    years: found.years.map(({ year, photos }) => ({ year, n: photos, shown: days.filter((day) => Number(day.slice(0, 4)) === year).length })),
    words: "time.photos",
  };
}
