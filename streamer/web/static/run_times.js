/** How long the runs took that ended, minute by minute: the more took so long, the stronger the cell. */

import { HEIGHT, WIDTH, box, hourChart } from "./chart.js";
import { panel } from "./panel.js";
import { duration } from "./time.js";

const LEVELS = 4;
const GAP = 1;

/** Return the panel. */
export function runTimes() {
  const layers = Array.from({ length: LEVELS }, (_, level) => ({ "data-level": level + 1 }));
  const chart = hourChart({ layers, about });
  const element = panel("run-times", "Run times", null, chart.element);

  function update(activity) {
    const bands = shownBands(activity);
    chart.draw(activity, cells(activity, bands), [longest(activity, bands.at(-1)), longest(activity, bands[0] - 1)]);
  }

  return { element, update };
}

/** Return the bands from the shortest to the longest that occurs, a few at least. */
function shownBands({ took, bands }) {
  const found = took.map((each) => each.band);
  const first = Math.min(...found, bands.length - 6);
  const last = Math.max(...found, first + 5);
  return Array.from({ length: last - first + 1 }, (_, place) => first + place);
}

function cells({ took, minutes }, bands) {
  const width = WIDTH / minutes;
  const height = HEIGHT / bands.length;
  const most = Math.max(1, ...took.map((each) => each.runs));
  const paths = Array.from({ length: LEVELS }, () => "");
  for (const { minute, band, runs } of took) {
    const level = Math.ceil(Math.sqrt(runs / most) * LEVELS) - 1;
    const y = HEIGHT - (bands.indexOf(band) + 1) * height;
    paths[level] += box(minute * width, y, width - GAP, height - GAP);
  }
  return paths;
}

/** Return what nothing in a band takes longer than. */
function longest({ bands }, band) {
  if (band < 0) return "0";
  return band < bands.length ? duration(bands[band]) : `> ${duration(bands.at(-1))}`;
}

function about(activity, minute) {
  const found = activity.took.filter((each) => minute === null || each.minute === minute);
  const total = found.reduce((sum, each) => sum + each.runs, 0);
  if (!total) return [{ text: "no run ended" }];
  const half = longest(activity, middle(found, total));
  return [{ text: `${total.toLocaleString()} run${total === 1 ? "" : "s"} ended, half of them within ${half}` }];
}

function middle(found, total) {
  let seen = 0;
  for (const { band, runs } of [...found].sort((one, other) => one.band - other.band)) {
    seen += runs;
    if (seen * 2 >= total) return band;
  }
  return 0;
}
