// Marking hits right or wrong: precision so far with Wilson's interval (1927), and the marked list.
import type { Hit } from "./api";
import { csv } from "./files";

export type Mark = "r" | "w" | "-";

export function markAt(marks: string, number: number): Mark {
  const mark = marks[number];
  return mark === "r" || mark === "w" ? mark : "-";
}

export function withMark(marks: string, number: number, mark: Mark): string {
  const letters = marks.padEnd(number + 1, "-").split("");
  letters[number] = mark;
  return letters.join("").replace(/-+$/, "");
}

export interface Precision { right: number; marked: number; share: number; lower: number; upper: number }

/** Share of marked hits that are right, with a 95 % interval; null where nothing is marked. */
export function precision(marks: string): Precision | null {
  const right = marks.split("r").length - 1;
  const marked = right + marks.split("w").length - 1;
  if (!marked) return null;
  const z2 = 1.959964 ** 2;
  const share = right / marked;
  const middle = (share + z2 / (2 * marked)) / (1 + z2 / marked);
  const half = (Math.sqrt(z2) / (1 + z2 / marked)) * Math.sqrt((share * (1 - share)) / marked + z2 / (4 * marked ** 2));
  return { right, marked, share, lower: Math.max(0, middle - half), upper: Math.min(1, middle + half) };
}

export function markedTable(hits: Hit[], marks: string, question: string): string {
  const rows = hits.flatMap((hit, number) => {
    const mark = markAt(marks, number);
    if (mark === "-") return [];
    return [[
      question, number + 1, mark === "r" ? "right" : "wrong", hit.image_id, hit.occurrence_id,
      hit.taxon.scientific_name, hit.taxon.common_name, hit.score, hit.observed_on, hit.lat, hit.lon,
      hit.uncertainty_m, hit.licence, hit.record_licence, hit.rights_holder, hit.observer, hit.dataset, hit.source_url,
    ]];
  });
  return csv([
    "question", "rank", "mark", "image_id", "occurrence_id", "scientific_name", "common_name", "score",
    "observed_on", "latitude", "longitude", "uncertainty_m", "licence", "record_licence", "rights_holder",
    "observer", "dataset", "source_url",
  ], rows);
}
