// Asking the server: its answers' types as far as the page reads them (docs/openapi.json has all),
// and one error for every refusal.
import { say } from "./words";

export interface TaxonName { taxon_id: number; scientific_name: string; common_name: string | null; rank: string }
export interface PhotoRecord {
  image_id: string; taxon: TaxonName; cell: string | null; lat: number | null; lon: number | null;
  uncertainty_m: number | null; observed_on: string | null; media_url: string | null;
  source_url: string | null; licence: string | null; record_licence: string | null;
  rights_holder: string | null; dataset: string; occurrence_id: string | null; observer: string | null;
  data_generalizations: string | null;
}
export interface Hit extends PhotoRecord { score: number }
export interface Span {
  start: number; end: number; words: string; kind: string; value: { [key: string]: unknown };
  applied: boolean; reason: string | null; note: string | null;
}
export interface Interpretation { text: string; spans: Span[]; notice: string | null }
export interface SearchAnswer {
  hits: Hit[]; next_cursor: string | null; matching: number; held_back: number;
  interpretation: Interpretation | null;
}
export interface NameMatch extends TaxonName { name: string; images: number }
export interface Taxon extends TaxonName {
  lineage: { rank: string; scientific_name: string | null; taxon_id: number | null }[];
  counts: { images: number };
}
export interface Range {
  wording: string; target_group: { taxon_id: number; scientific_name: string };
  basis: { records: number; uncertain: number };
  extent_of_occurrence_km2: number | null; area_of_occupancy_km2: number | null;
  area_of_occupancy_at_least: boolean; resolution: number; occupied_cells: number;
  latitudes: { south: number; north: number } | null;
  seasons: { months: number[]; effort_share: number[]; years: { year: number; records: number }[] };
}
export interface Legend {
  title: string; meaning: string; field: string; unit: string | null; no_colour: string;
  classes: { colour: string; label: string; lower: number | null; upper: number | null; value: string | null }[];
}
export interface Gap {
  cell: string; latitude: number; longitude: number; area_km2: number; state: string; reason: string;
  score: { score: number; expected_new_species: number }; sampling: { records: number; visits: number };
}
export interface GapAnswer {
  gaps: Gap[]; matching: number; resolution: number; question: { words: string };
  taxa: { taxon_id: number; scientific_name: string }[]; cells: { [state: string]: number };
}
export interface ExpectedHere extends TaxonName {
  probability: number; by_now: number;
  records: { distance_km: number; observed_on: string | null; record: PhotoRecord }[];
}
export interface GapCell {
  gap: Gap; recorded: { scientific_name: string; common_name: string | null; visits: number }[];
  unrecorded: { reliable: boolean; why: string; species: ExpectedHere[]; more: number };
}
export interface AtlasPage {
  title: string; description: string; demonstration: boolean; built_at: string;
  sources: { title: string; citation: string; licence: string }[];
  cell_resolution: number; counts: { images: number; species: number };
}

export interface Basemap { tiles: string; style: string; attribution: string; max_zoom: number }

/** A refusal: what the problem document says, in `message`. */
export class Refused extends Error {
  constructor(message: string, readonly status: number, readonly field: string | null = null) {
    super(message);
  }
}

export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(say("error.network"), 0);
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({})) as { detail?: string; title?: string; field?: string };
  throw new Refused(problem.detail || problem.title || answer.statusText, answer.status, problem.field ?? null);
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = await ask(path, { signal: signal ?? null, headers: { Accept: "application/json" } });
  return await answer.json() as T;
}

export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const answer = await ask(path, {
    method: "POST", signal: signal ?? null, body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });
  return await answer.json() as T;
}

let chosen: Promise<Basemap> | null = null;
/** What maps are drawn on; asked once. */
export function basemapChoice(): Promise<Basemap> {
  chosen ??= get<Basemap>("/v1/basemap");
  chosen.catch(() => { chosen = null; });
  return chosen;
}

let description: Promise<AtlasPage> | null = null;
/** What this atlas is; asked once. */
export function atlasPage(): Promise<AtlasPage> {
  description ??= get<AtlasPage>("/v1/atlas");
  description.catch(() => { description = null; });
  return description;
}
