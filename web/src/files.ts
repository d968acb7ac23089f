// Files that the page makes itself: CSV as RFC 4180 has it, and GPX 1.1 for navigation devices. Pure.
import type { Gap } from "./api";
import { told } from "./told";

type Value = string | number | null;

export function csv(columns: string[], rows: Value[][]): string {
  return [columns, ...rows].map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
}

function field(value: Value): string {
  if (value === null) return "";
  const text = String(value);
  // A leading = + - @ would be run as a formula by spreadsheets; numbers are left as they are.
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The middles of cells as waypoints, in the order of the list. */
export function gpx(gaps: Gap[], title: string): string {
  const points = gaps.map((gap, number) => `  <wpt lat="${gap.latitude}" lon="${gap.longitude}">
    <name>${escaped(`${number + 1} ${gap.cell}`)}</name>
    <desc>${escaped(told(gap.reason))}</desc>
    <type>${escaped(gap.state)}</type>
  </wpt>`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="Biodiversity atlas" xmlns="http://www.topografix.com/GPX/1/1">
  <metadata><name>${escaped(title)}</name></metadata>
${points.join("\n")}
</gpx>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
