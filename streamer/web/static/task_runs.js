/** The task runs of a run, as the Prefect server has them. */

import { el, say } from "./dom.js";
import { state } from "./states.js";
import { table } from "./table.js";
import { duration, stamp } from "./time.js";

/** Return the table; `show` takes task runs, `fail` why there are none. */
export function taskRuns() {
  const list = table("Task runs", ["Task", "State", "Started", "Took"]);
  list.element.hidden = true;
  const note = el("p", { class: "note" }, "Asking the Prefect server…");

  function show(items) {
    list.body.replaceChildren(...items.map(row));
    list.element.hidden = !items.length;
    say(note, items.length ? "" : "It has no task runs.");
  }

  function fail(problem) {
    say(note, `Task runs cannot be had: ${problem.message}.`);
  }

  return { element: el("div", {}, list.element, note), show, fail };
}

function row(task) {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, task.name),
    el("td", {}, task.state ? state(task.state.type, task.state.name) : ""),
    el("td", {}, task.start_time ? stamp(task.start_time) : ""),
    el("td", {}, task.start_time ? duration(task.total_run_time) : ""),
  );
}
