// What the colours of a map mean, as the server says it.
import type { Legend } from "./api";
import { el } from "./dom";
import { told } from "./told";

export function legendOf(legend: Legend): HTMLElement {
  return el("figure", { class: "key" }, [
    el("figcaption", {}, legend.unit && legend.unit !== legend.title.toLowerCase() ? `${told(legend.title)} (${told(legend.unit)})` : told(legend.title)),
    el("ul", {}, legend.classes.map((shown) => {
      const colour = el("span", { class: "swatch", "aria-hidden": "true" });
      colour.style.backgroundColor = shown.colour;
      return el("li", {}, [colour, told(shown.label)]);
    })),
    el("p", { class: "faint" }, told(legend.no_colour)),
  ]);
}
