// What is shown while there is nothing else to show: loading, nothing found, an error.
import { Refused } from "./api";
import { button, el } from "./dom";
import { told } from "./told";
import { say } from "./words";

export function loading(): HTMLElement {
  return el("p", { class: "notice loading", role: "status" }, say("loading"));
}

export function nothing(words: string, ...more: HTMLElement[]): HTMLElement {
  return el("div", { class: "notice", role: "status" }, [el("p", {}, words), ...more]);
}

export function failure(error: unknown, retry: () => void): HTMLElement {
  const words = error instanceof Refused ? error.message.split("; ").map(told).join("; ") : String(error);
  return el("div", { class: "notice failure", role: "alert" }, [
    el("strong", {}, say("error.title")), el("p", {}, words), button(say("error.retry"), retry),
  ]);
}

/** Whether an error only says that its answer is no longer wanted. */
export function isGivenUp(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
