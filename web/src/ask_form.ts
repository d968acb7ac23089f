// The question box of the photos: words, a completed name, or a photo that is chosen, dropped or pasted.
import { el } from "./dom";
import { fresh, go, state } from "./state";
import { taxonBox } from "./taxon_box";
import { say } from "./words";

export interface AskForm { root: HTMLElement; changed(words: string): void; leave(): void }

/** The box; `withPhoto` is told of a photo that is to be asked with. */
export function askForm(withPhoto: (photo: File) => void): AskForm {
  const field = el("input", { type: "search", id: "question", autocomplete: "off", placeholder: say("ask.placeholder"), value: state().q });
  const file = el("input", { type: "file", accept: "image/*", id: "photo", class: "hidden-file" });
  const names = taxonBox("", (taxon) => go(fresh({ q: taxon.scientific_name, taxon: taxon.taxon_id })), field);
  const root = el("form", { class: "question", role: "search" }, [
    el("label", { for: "question" }, say("ask.label")),
    el("div", { class: "row" }, [
      el("div", { class: "grow under" }, [field, names.root]),
      el("button", { type: "submit", class: "main" }, say("ask.button")),
      el("label", { for: "photo", class: "button" }, say("ask.photo")), file,
    ]),
    el("p", { class: "faint" }, say("ask.drop")),
  ], { submit: (event) => {
    event.preventDefault();
    names.close();
    go({ q: field.value.trim(), image: "", photo: false, without: [], marks: "", taxon: null, cells: [] });
  } });
  file.addEventListener("change", () => { if (file.files?.[0]) withPhoto(file.files[0]); });
  const dropped = (event: DragEvent): void => {
    event.preventDefault();
    const photo = pictureIn(event.dataTransfer);
    if (photo) withPhoto(photo);
  };
  const pasted = (event: ClipboardEvent): void => {
    const photo = pictureIn(event.clipboardData);
    if (photo) { event.preventDefault(); withPhoto(photo); }
  };
  const over = (event: DragEvent): void => event.preventDefault();
  document.addEventListener("dragover", over);
  document.addEventListener("drop", dropped);
  document.addEventListener("paste", pasted);
  return {
    root,
    changed: (words) => { if (field.value !== words && document.activeElement !== field) field.value = words; },
    leave: () => {
      document.removeEventListener("dragover", over);
      document.removeEventListener("drop", dropped);
      document.removeEventListener("paste", pasted);
    },
  };
}

function pictureIn(given: DataTransfer | null): File | undefined {
  return [...(given?.files ?? [])].find((file) => file.type.startsWith("image/"));
}
