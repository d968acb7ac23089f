// One cell explained: why it is listed, and the species expected there with their evidence.
import type { ExpectedHere, GapCell } from "./api";
import { button, el } from "./dom";
import { credit, picture } from "./photos";
import { told } from "./told";
import { number, say } from "./words";

export function gapDetail(cell: GapCell, close: () => void): HTMLElement {
  const { gap, unrecorded } = cell;
  return el("div", { class: "gap-detail" }, [
    el("div", { class: "row" }, [el("h2", { class: "grow" }, say("gaps.why")), button(say("gaps.close"), close)]),
    el("p", {}, told(gap.reason)),
    el("p", { class: "faint" }, `${number(gap.latitude, 3)}°, ${number(gap.longitude, 3)}° · ${number(gap.area_km2)} km²`),
    el("h3", {}, say("gaps.expected")),
    unrecorded.species.length ? null : el("p", {}, told(unrecorded.why)),
    el("ul", { class: "expected" }, unrecorded.species.map(expected)),
    cell.recorded.length ? el("h3", {}, say("gaps.recorded")) : null,
    el("p", {}, cell.recorded.map((species) => `${species.common_name ?? species.scientific_name} (${species.visits})`).join(", ")),
  ]);
}

function expected(species: ExpectedHere): HTMLElement {
  const [nearest] = species.records;
  const name = species.common_name ?? species.scientific_name;
  return el("li", {}, [
    nearest ? el("div", { class: "evidence" }, [picture(nearest.record, name), credit(nearest.record)]) : null,
    el("div", {}, [
      el("strong", {}, name), " ", el("i", {}, species.scientific_name),
      el("div", {}, `${say("gaps.probability", { p: number(species.probability, 2) })}, ${say("gaps.byNow", { p: number(species.by_now, 2) })}`),
      nearest ? el("div", { class: "faint" }, say("gaps.nearest", {
        km: number(nearest.distance_km), day: nearest.observed_on ?? say("gaps.noDay") })) : null,
    ]),
  ]);
}
