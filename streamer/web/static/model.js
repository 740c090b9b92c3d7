/** What the service has told so far, and who wants to hear of it. Views are told at most once a frame. */

import { setServerTime } from "./time.js";

const ROWS_KEPT = 2000;

export const model = {
  standing: null,
  runs: null,
  activity: null,
  sinks: null,
  alerts: null,
  /** The newest rows of the feed, oldest first, and how many were left out between them. */
  rows: [],
  leftOut: 0,
  isConnected: true,
};

const listeners = new Set();
let changed = new Set();

/** Call `listener` with the names of what has changed, now and then; return what ends that. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Take note of an event of the stream. */
export function told(name, data) {
  if (name === "reset") {
    setServerTime(data.now);
    model.rows = [];
    model.leftOut = 0;
    note("rows");
  } else if (name === "rows") {
    const newest = model.rows.at(-1)?.seq ?? 0;
    model.rows.push(...data.rows.filter((row) => row.seq > newest));
    if (model.rows.length > ROWS_KEPT) model.rows = model.rows.slice(-ROWS_KEPT);
    model.leftOut += data.left_out;
    note("rows");
  } else {
    model[name] = data;
    note(name);
  }
}

/** Take note of whether there is a connection. */
export function heard(isConnected) {
  if (model.isConnected === isConnected) return;
  model.isConnected = isConnected;
  note("standing");
}

function note(name) {
  if (!changed.size) requestAnimationFrame(tell);
  changed.add(name);
}

function tell() {
  const names = changed;
  changed = new Set();
  for (const listener of listeners) listener(names);
}
