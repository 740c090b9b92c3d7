/** The heartbeats of a run as a strip of strokes, at its right end the present, or when the run ended. */

import { mark, svg } from "./dom.js";
import { age, now } from "./time.js";

const WIDTH = 96;
const HEIGHT = 18;
const INTERVALS = 16;
const INTERVALS_MOST = 34;
const USUAL_INTERVAL = 30;

/** Return an empty strip. */
export function beatStrip(width = WIDTH) {
  const frame = { class: "beats", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img" };
  const ground = svg("path", { class: "ground", d: `M0 ${HEIGHT - 0.5}H${width}` });
  return svg("svg", frame, ground, svg("path", { class: "strokes" }));
}

/** Draw beats up to a time; `interval` is the usual distance between two in seconds, if it is known. */
export function drawBeats(strip, beats, interval, until = now()) {
  const width = Number(strip.getAttribute("width"));
  const span = (width > WIDTH ? INTERVALS_MOST : INTERVALS) * (interval ?? USUAL_INTERVAL);
  const ages = beats.map((beat) => (until - Date.parse(beat)) / 1000);
  const places = ages.map((seconds) => width - 1.5 - (seconds / span) * width).filter((place) => place >= 0);
  const strokes = places.map((place) => `M${Math.min(place, width - 1).toFixed(1)} 3V${HEIGHT - 1}`);
  mark(strip.lastChild, "d", strokes.join(""));
  mark(strip, "aria-label", beats.length ? `last heartbeat ${age(beats.at(-1))} ago` : "no heartbeats");
  mark(strip, "data-freshness", freshness(ages.at(-1), interval));
}

/** Return the usual distance between beats in seconds; null if there are too few. */
export function usualInterval(beats) {
  const gaps = beats.slice(1).map((beat, place) => (Date.parse(beat) - Date.parse(beats[place])) / 1000);
  return gaps.length ? gaps.sort((one, other) => one - other)[Math.floor(gaps.length / 2)] : null;
}

function freshness(seconds, interval) {
  if (seconds === undefined) return "none";
  const late = seconds / (interval ?? USUAL_INTERVAL);
  return late < 1.5 ? "fresh" : late < 2.5 ? "late" : "stale";
}
