/** A chart of the last hour: a picture, and what is to be said of the minute that is pointed at, or of all of them. */

import { el, mark, svg } from "./dom.js";
import { minuteOf } from "./time.js";

export const WIDTH = 600;
export const HEIGHT = 120;
const STEPS = 4;

/** Return the chart; `layers` are the data of its shapes, `about` tells of a minute, or all, in texts with states. */
export function hourChart({ layers, about }) {
  const shapes = layers.map((data) => svg("path", { class: "layer", ...data }));
  const cursor = svg("rect", { class: "cursor", y: 0, height: HEIGHT, visibility: "hidden" });
  const grid = svg("g", { class: "grid" });
  const picture = svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: 0 },
    grid, ...shapes, cursor,
  );
  const readout = el("figcaption", { class: "readout" });
  const ticks = el("div", { class: "ticks", "aria-hidden": "true" });
  const scale = el("div", { class: "scale", "aria-hidden": "true" });
  const element = el("figure", {}, el("div", { class: "plot" }, picture, scale), ticks, readout);
  let [data, minute] = [null, null];

  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    point(Math.floor(((event.clientX - box.left) / box.width) * data.minutes));
  });
  picture.addEventListener("pointerleave", () => point(null));
  picture.addEventListener("blur", () => point(null));
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      event.preventDefault();
      point(minute === null ? data.minutes - 1 : minute + step);
    }
  });

  function point(place) {
    minute = place === null || !data ? null : Math.min(Math.max(place, 0), data.minutes - 1);
    describe();
  }

  function describe() {
    if (!data) return;
    mark(cursor, "visibility", minute === null ? "hidden" : "visible");
    const width = WIDTH / data.minutes;
    mark(cursor, "x", (minute ?? 0) * width);
    mark(cursor, "width", width);
    const when = minute === null ? "Last hour" : minuteOf(momentOf(data, minute));
    readout.replaceChildren(el("span", {}, `${when}:`), ...about(data, minute).map(part));
  }

  /** Show other data; `paths` are the shapes of the layers, `labels` those of the scale, from above. */
  function draw(shown, paths, labels) {
    data = shown;
    shapes.forEach((shape, place) => mark(shape, "d", paths[place]));
    const every = data.minutes / STEPS;
    const texts = Array.from({ length: STEPS }, (_, step) => minuteOf(momentOf(data, step * every)));
    ticks.replaceChildren(...texts.map((text) => el("span", {}, text)), el("span", {}, "now"));
    scale.replaceChildren(...labels.map((label) => el("span", {}, label)));
    mark(picture, "aria-label", `Last hour: ${about(data, null).map(({ text }) => text).join(", ")}`);
    describe();
  }

  return { element, draw };
}

function part({ text, state }) {
  return el("span", { "data-state": state, class: state ? "key" : null }, text);
}

/** Return a rectangle as a piece of a path. */
export function box(x, y, width, height) {
  const [left, top, right, down] = [x, y, width, height].map((each) => each.toFixed(1));
  return `M${left} ${top}h${right}v${down}h-${right}z`;
}

function momentOf(data, minute) {
  return Date.parse(data.start) + minute * 60000;
}
