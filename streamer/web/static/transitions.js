/** How often runs came into which state, minute by minute. */

import { HEIGHT, WIDTH, box, hourChart } from "./chart.js";
import { panel } from "./panel.js";
import { STATES, called } from "./states.js";

const GAP = 1.5;
const STACKED = [
  "FAILED", "CRASHED", "CANCELLED", "COMPLETED", "CANCELLING", "PAUSED", "RUNNING", "PENDING", "SCHEDULED",
];

/** Return the panel. */
export function transitions() {
  const chart = hourChart({ layers: STACKED.map((state) => ({ "data-state": state })), about });
  const element = panel("transitions", "Transitions", null, chart.element);

  function update(activity) {
    const { states, minutes } = activity;
    const total = (minute) => sum(Object.values(states).map((numbers) => numbers[minute]));
    const top = Math.max(4, ...Array.from({ length: minutes }, (_, minute) => total(minute)));
    chart.draw(activity, stacked(states, minutes, top), [top.toLocaleString(), "0"]);
  }

  return { element, update };
}

function about({ states }, minute) {
  const found = STATES.filter((state) => states[state])
    .map((state) => [state, minute === null ? sum(states[state]) : states[state][minute]])
    .filter(([, number]) => number);
  const number = sum(found.map(([, each]) => each));
  const details = found.map(([state, each]) => {
    return { text: `${each.toLocaleString()} ${called(state).toLowerCase()}`, state };
  });
  return [{ text: `${number.toLocaleString()} transition${number === 1 ? "" : "s"}` }, ...details];
}

/** Return a shape for each state: a bar in each minute, on those of the states before. */
function stacked(states, minutes, top) {
  const heights = new Array(minutes).fill(0);
  const width = WIDTH / minutes;

  function bar(number, minute) {
    if (!number) return "";
    const height = (number / top) * HEIGHT;
    heights[minute] += height;
    return box(minute * width + GAP / 2, HEIGHT - heights[minute], width - GAP, height);
  }

  return STACKED.map((state) => (states[state] ?? []).map(bar).join(""));
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
