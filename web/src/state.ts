// What the page shows, which is what its address says: nothing shown is kept anywhere else,
// but an uploaded photo, which stays in memory.
export type View = "ask" | "species" | "gaps";
export type Box = [west: number, south: number, east: number, north: number];

export interface State {
  view: View;
  lang: string;
  q: string;
  /** A stored photo that similar ones are looked for. */
  image: string;
  /** Whether an uploaded photo is the question; the photo itself cannot be in an address. */
  photo: boolean;
  taxon: number | null;
  bbox: Box | null;
  /** Corners of a drawn shape: longitude, latitude, longitude, … */
  shape: number[];
  cells: string[];
  months: number[];
  from: string;
  to: string;
  /** Spans that are switched off, as the interface writes them: `kind:start`. */
  without: string[];
  follow: boolean;
  verify: boolean;
  /** One letter a hit in the list's order: r right, w wrong, - unmarked. */
  marks: string;
  resolution: number | null;
  state: string;
  cell: string;
  picked: string[];
}

const EMPTY: State = {
  view: "ask", lang: "", q: "", image: "", photo: false, taxon: null, bbox: null, shape: [],
  cells: [], months: [], from: "", to: "", without: [], follow: false, verify: false, marks: "",
  resolution: null, state: "", cell: "", picked: [],
};

export function readState(search: string): State {
  const given = new URLSearchParams(search);
  const state: State = structuredClone(EMPTY);
  for (const key of Object.keys(EMPTY) as (keyof State)[]) {
    const text = given.get(key);
    if (text !== null) Object.assign(state, { [key]: parsed(key, text) });
  }
  return state;
}

function parsed(key: keyof State, text: string): State[keyof State] {
  const list = text.split(",").filter((part) => part !== "");
  const numbers = list.map(Number).filter(Number.isFinite);
  switch (key) {
    case "view":
      return text === "species" || text === "gaps" ? text : "ask";
    case "photo": case "follow": case "verify":
      return text === "1";
    case "taxon": case "resolution":
      return numbers[0] ?? null;
    case "bbox":
      return numbers.length === 4 ? (numbers as Box) : null;
    case "shape": case "months":
      return numbers;
    case "cells": case "without": case "picked":
      return list;
    default:
      return text;
  }
}

export function writeState(state: State): string {
  const written = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    const empty = value === null || value === "" || value === false || (Array.isArray(value) && !value.length);
    if (empty || (key === "view" && value === "ask")) continue;
    written.set(key, value === true ? "1" : String(value));
  }
  // Commas and colons are read by people and need no escape in a query.
  const text = written.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return text ? `?${text}` : "/";
}

type Listener = (state: State, before: State) => void;
const listeners: Listener[] = [];
let current: State = readState(location.search);

export function state(): State {
  return current;
}

export function onChange(listener: Listener): void {
  listeners.push(listener);
}

/** Go to a changed state. `replace` leaves no entry to come back to, for what changes with each key. */
export function go(change: Partial<State>, how: "push" | "replace" = "push"): void {
  const before = current;
  current = { ...current, ...change };
  const address = writeState(current);
  if (how === "push" && address !== writeState(before)) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  for (const listener of listeners) listener(current, before);
}

/** Another question keeps the language and drops all else. */
export function fresh(change: Partial<State>): Partial<State> {
  return { ...structuredClone(EMPTY), lang: current.lang, ...change };
}

window.addEventListener("popstate", () => {
  const before = current;
  current = readState(location.search);
  for (const listener of listeners) listener(current, before);
});
