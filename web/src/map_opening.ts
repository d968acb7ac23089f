// Opening maps: their library, the largest part of the page, is loaded when the first one is wanted.
import { basemapChoice } from "./api";
import type { AtlasMap } from "./map";
import type { Box } from "./state";

export async function openMap(container: HTMLElement, box: Box | null, label: string): Promise<AtlasMap> {
  const [{ AtlasMap: Opened }, chosen] = await Promise.all([import("./map"), basemapChoice()]);
  return new Opened(container, chosen, box, label);
}

/** Two maps that move together, each named by its container's label. */
export async function openPair(containers: HTMLElement[]): Promise<AtlasMap[]> {
  const maps = await Promise.all(containers.map((container) => openMap(container, null, container.getAttribute("aria-label") ?? "")));
  const { sideBySide } = await import("./map");
  sideBySide(maps[0]!, maps[1]!);
  return maps;
}
