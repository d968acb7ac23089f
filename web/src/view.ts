// What a view gives the page that shows it.
import type { State } from "./state";

export interface ViewOnPage {
  /** The address changed, and still shows this view. */
  changed(now: State, before: State): void;
  /** Another view takes over: stop what runs and let go of what was opened. */
  leave(): void;
}
