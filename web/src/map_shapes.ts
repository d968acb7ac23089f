// Shapes as numbers: pure, so that asking does not load the map's library.
/** Corners (longitude, latitude, …) as a ring, closed where there are three or more. */
export function ringOf(corners: number[]): [number, number][] {
  const ring: [number, number][] = [];
  for (let at = 0; at + 1 < corners.length; at += 2) ring.push([corners[at]!, corners[at + 1]!]);
  if (ring[0] && ring.length > 2) ring.push(ring[0]);
  return ring;
}
