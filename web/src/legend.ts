// What the colours of a map mean, as the server says it.
import type { Legend } from "./api";
import { el } from "./dom";

export function legendOf(legend: Legend): HTMLElement {
  return el("figure", { class: "key" }, [
    el("figcaption", {}, legend.unit && legend.unit !== legend.title.toLowerCase() ? `${legend.title} (${legend.unit})` : legend.title),
    el("ul", {}, legend.classes.map((shown) => {
      const colour = el("span", { class: "swatch", "aria-hidden": "true" });
      colour.style.backgroundColor = shown.colour;
      return el("li", {}, [colour, shown.label]);
    })),
    el("p", { class: "faint" }, legend.no_colour),
  ]);
}
