/** The first view: what is the matter, what runs, what happens, and where it goes. */

import { el } from "./dom.js";
import { listen, model } from "./model.js";
import { filtersOf } from "./filters.js";
import { keepAsked } from "./router.js";
import { alerts } from "./alerts.js";
import { feed } from "./feed.js";
import { filterBar } from "./filter_bar.js";
import { runTimes } from "./run_times.js";
import { runsNow } from "./runs_now.js";
import { sinks } from "./sinks.js";
import { transitions } from "./transitions.js";

/** Return the view; the address says which runs are wanted. */
export function overview(asked) {
  let filters = filtersOf(asked);
  const panels = {
    alerts: [alerts()],
    activity: [transitions(), runTimes()],
    runs: [runsNow(() => filters, setState)],
    rows: [feed(() => filters)],
    sinks: [sinks()],
  };
  const bar = filterBar(filters, setFilters);

  function setFilters(wanted) {
    filters = wanted;
    keepAsked(filters);
    update(new Set(["runs", "rows"]));
  }

  function setState(state) {
    bar.set({ ...filters, state: filters.state === state ? "" : state });
  }

  function update(changed) {
    for (const [name, some] of Object.entries(panels)) {
      if (changed.has(name) && model[name]) some.forEach((panel) => panel.update(model[name]));
    }
    if (changed.has("rows")) bar.suggest(model.rows);
  }

  const element = el(
    "div",
    { class: "overview" },
    el("h1", { class: "unseen" }, "Flow runs now"),
    panels.alerts[0].element,
    el("div", { class: "charts" }, ...panels.activity.map((panel) => panel.element)),
    bar.element,
    el("div", { class: "present" }, panels.runs[0].element, panels.rows[0].element),
    panels.sinks[0].element,
  );
  update(new Set(Object.keys(panels)));
  return { element, leave: listen(update) };
}
