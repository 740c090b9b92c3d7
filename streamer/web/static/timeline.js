/** The states of a run as a bar, and as a list with all that is said of them. */

import { el, mark, svg } from "./dom.js";
import { state } from "./states.js";
import { duration, stamp } from "./time.js";

const WIDTH = 1000;
const HEIGHT = 22;
const LEAST = 4;

/** Return both; `show` takes transitions in order. */
export function timeline() {
  const bar = svg("svg", { class: "bar", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const list = el("ol", { class: "states" });

  function show(moves) {
    mark(bar, "aria-label", moves.map((move) => `${move.name} ${duration(move.seconds)}`.trim()).join(", "));
    bar.replaceChildren(...parts(moves));
    list.replaceChildren(...moves.map(item));
  }

  return { element: el("div", {}, bar, list), show };
}

/** Return a part for each state that took time; a short one is wide enough to be seen. */
function parts(moves) {
  const total = moves.reduce((sum, move) => sum + (move.seconds ?? 0), 0) || 1;
  const widths = moves.map((move) => Math.max(LEAST, ((move.seconds ?? 0) / total) * WIDTH));
  const scale = WIDTH / widths.reduce((sum, width) => sum + width, 0);
  let x = 0;
  return moves.map((move, place) => {
    const width = widths[place] * scale;
    const shape = { "data-state": move.type, x, y: 0, width: Math.max(1, width - 1), height: HEIGHT };
    x += width;
    return svg("rect", shape, svg("title", {}, `${move.name} ${duration(move.seconds)}`));
  });
}

function item(move) {
  return el(
    "li",
    {},
    stamp(move.occurred),
    state(move.type, move.name),
    el("span", { class: "took" }, move.seconds === null ? "" : duration(move.seconds)),
    el("span", { class: "message" }, move.message ?? ""),
  );
}
