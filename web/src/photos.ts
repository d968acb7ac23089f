// One photo as a card: the picture, its names, place, date, credit and licence.
import type { Hit, PhotoRecord } from "./api";
import { button, el } from "./dom";
import { fresh, go, writeState, state } from "./state";
import { say } from "./words";

export interface CardEvents { pointed(hit: Hit | null): void }

/** Photos that are certainly in view: they are fetched first, the others as they are scrolled to. */
const FIRST = 6;
/** Waiting longer than this for pictures would keep the map from people with a slow line. */
const WAIT_MS = 400;

/** Wait until the first pictures of a grid are there, or it has taken too long. */
export async function firstPictures(grid: HTMLElement, signal: AbortSignal): Promise<void> {
  const pictures = [...grid.querySelectorAll("img")].slice(0, FIRST).filter((picture) => !picture.complete);
  const shown = pictures.map(async (picture) => new Promise<void>((resolve) => {
    for (const event of ["load", "error"]) picture.addEventListener(event, () => resolve(), { once: true });
  }));
  await Promise.race([Promise.all(shown), new Promise((resolve) => setTimeout(resolve, WAIT_MS))]);
  signal.throwIfAborted();
}

export function card(hit: Hit, number: number, events: CardEvents): HTMLElement {
  const name = hit.taxon.common_name ?? hit.taxon.scientific_name;
  return el("li", { class: "card", tabindex: -1, "data-id": hit.image_id, "data-number": number }, [
    picture(hit, name, number < FIRST),
    el("div", { class: "names-of" }, [el("strong", {}, name), " ", el("i", {}, hit.taxon.scientific_name)]),
    el("div", { class: "faint" }, hit.observed_on ?? ""),
    credit(hit),
    el("div", { class: "row" }, [
      button(say("hits.similar"), () => go(fresh({ image: hit.image_id })), { "aria-label": `${say("hits.similar")}: ${name}` }),
      speciesLink(hit, name),
      hit.source_url ? el("a", { href: hit.source_url, rel: "noreferrer external", target: "_blank" }, say("hits.source")) : null,
    ]),
    el("span", { class: "mark", "aria-live": "polite" }),
  ], {
    mouseenter: () => events.pointed(hit), mouseleave: () => events.pointed(null),
    focusin: () => events.pointed(hit), focusout: () => events.pointed(null),
  });
}

function speciesLink(hit: Hit, name: string): HTMLElement {
  const there = fresh({ view: "species", taxon: hit.taxon.taxon_id });
  return el("a", { href: writeState({ ...state(), ...there }), "aria-label": `${say("hits.species")}: ${name}` }, say("hits.species"), {
    click: (event) => { if (!event.ctrlKey && !event.metaKey) { event.preventDefault(); go(there); } },
  });
}

/** The picture where this server has it. One that is only at its source is not fetched unasked. */
export function picture(photo: PhotoRecord, name: string, first = false): HTMLElement {
  if (photo.media_url?.startsWith("/")) {
    return el("img", { src: photo.media_url, alt: name, ...(first ? { fetchpriority: "high" } : { loading: "lazy" }), decoding: "async", width: 320, height: 320 });
  }
  return el("div", { class: "no-picture" }, photo.media_url
    ? [el("a", { href: photo.media_url, rel: "noreferrer external", target: "_blank" }, say("hits.remote"))]
    : say("hits.noPicture"));
}

export function credit(photo: PhotoRecord): HTMLElement {
  const holder = photo.rights_holder ?? photo.observer;
  return el("div", { class: "credit" }, [
    holder ? `${say("hits.credit", { holder })}, ` : null,
    el("span", { class: "licence" }, photo.licence ?? say("hits.noLicence")),
  ]);
}
