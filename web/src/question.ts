// A state as the search that it stands for.
import { ask, post, type SearchAnswer } from "./api";
import { ringOf } from "./map_shapes";
import type { State } from "./state";

let uploaded: File | null = null;

export function upload(photo: File): void {
  uploaded = photo;
}

export function photoAtHand(): File | null {
  return uploaded;
}

/** Whether the state asks anything: words, a photo, or the photos of a taxon. */
export function isAsked(state: State): boolean {
  return state.q !== "" || state.image !== "" || state.photo;
}

export function filterOf(state: State): { [key: string]: unknown } {
  const filter: { [key: string]: unknown } = {};
  if (state.taxon !== null) filter.taxon = state.taxon;
  if (state.shape.length > 5) filter.polygon = { type: "Polygon", coordinates: [ringOf(state.shape)] };
  else if (state.bbox) filter.bbox = state.bbox;
  if (state.cells.length) filter.cells = state.cells;
  if (state.months.length) filter.months = state.months;
  if (state.from || state.to) {
    filter.observed = { ...(state.from && { from: state.from }), ...(state.to && { to: state.to }) };
  }
  return filter;
}

/** When the photos that pass were taken (`/v1/search/seasons`). */
export interface Seasons {
  matching: number; months: number[]; without_month: number;
  years: { year: number; photos: number }[]; without_year: number;
}

/** The seasons of a question whatever of them is chosen: bars show what else could be. */
export async function seasons(state: State, signal: AbortSignal): Promise<Seasons> {
  const filter = filterOf({ ...state, months: [], from: "", to: "" });
  const words = state.photo || state.image ? {} : { text: state.q, without: withoutOf(state) };
  return await post<Seasons>("/v1/search/seasons", { ...words, filter }, signal);
}

function withoutOf(state: State): { kind: string; start?: number }[] {
  return state.without.map((part) => {
    const [kind = "", start] = part.split(":");
    return start === undefined ? { kind } : { kind, start: Number(start) };
  });
}

export async function search(
  state: State, limit: number, cursor: string | null, signal: AbortSignal,
): Promise<SearchAnswer> {
  const filter = filterOf(state);
  if (state.photo && uploaded) {
    const form = new FormData();
    form.set("file", uploaded);
    form.set("limit", String(limit));
    form.set("filter", JSON.stringify(filter));
    if (cursor) form.set("cursor", cursor);
    const answer = await ask("/v1/search/image", { method: "POST", body: form, signal });
    return await answer.json() as SearchAnswer;
  }
  const asked = state.image ? { image_id: state.image } : { text: state.q, without: withoutOf(state) };
  return await post<SearchAnswer>("/v1/search", { ...asked, filter, limit, ...(cursor && { cursor }) }, signal);
}

/** Months and years as the maps take them. */
export function mapQuery(state: State): string {
  const query = new URLSearchParams();
  if (state.from) query.set("from", state.from);
  if (state.to) query.set("to", state.to);
  if (state.months.length) query.set("months", state.months.join(","));
  return query.toString().replaceAll("%2C", ",");
}
