/** The log of a run, as the Prefect server has it: more is asked for where the last answer ended. */

import { el, say } from "./dom.js";
import { clock, exact } from "./time.js";

const LEVELS = [[50, "critical"], [40, "error"], [30, "warning"], [20, "info"], [0, "debug"]];
const KEPT = 2000;

/** Return the log; `ask` returns a part of it from an offset on. */
export function logLines(ask) {
  const body = el("ol", { class: "lines", tabindex: "0", "aria-label": "Lines of the log" });
  const note = el("p", { class: "note" }, "Asking the Prefect server…");
  const more = el("button", { type: "button", hidden: true, click: refresh }, "More");
  let offset = 0;
  let isAsking = false;

  async function refresh() {
    if (isAsking) return;
    isAsking = true;
    try {
      const { items, next } = await ask(offset);
      offset += items.length;
      body.append(...items.map(line));
      while (body.childElementCount > KEPT) body.firstChild.remove();
      more.hidden = next === null;
      say(note, offset ? "" : "It has said nothing.");
    } catch (problem) {
      say(note, `The log cannot be had: ${problem.message}.`);
    }
    isAsking = false;
  }

  return { element: el("div", {}, body, more, note), refresh };
}

function line({ timestamp, level, name, message }) {
  const called = LEVELS.find(([least]) => level >= least)[1];
  return el(
    "li",
    { "data-level": called },
    el("time", { datetime: timestamp, title: exact(timestamp) }, clock(timestamp)),
    el("span", { class: "level", title: name }, called),
    el("span", { class: "text" }, message),
  );
}
