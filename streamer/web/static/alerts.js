/** What fires now. */

import { each, el, mark, say } from "./dom.js";
import { panel } from "./panel.js";
import { link, runPath } from "./router.js";
import { clock, since } from "./time.js";

/** Return the panel; it is there only while something fires. */
export function alerts() {
  const body = el("ul", { class: "alert-rows" });
  const element = panel("alerts", "Alerts", null, body);

  function update(firing) {
    mark(element, "hidden", firing.length ? null : "");
    each(body, firing, { key: (alert) => alert.incident, make: alertItem, update: updateAlert });
  }

  return { element, update };
}

function alertItem(alert) {
  const reason = el("span", { class: "reason" });
  const number = el("span", { class: "number" });
  const held = el("span", { class: "held" });
  const item = el(
    "li",
    { "data-severity": alert.severity },
    el("span", { class: "severity" }, alert.severity),
    el("strong", {}, alert.rule),
    el("span", { class: "name" }, alert.name),
    reason,
    link(runPath(alert.run.id), alert.run.name ?? alert.run.id),
    el("span", {}, "for ", since(alert.since)),
    number,
    held,
  );
  item.parts = { reason, number, held };
  return item;
}

function updateAlert({ parts }, alert) {
  say(parts.reason, alert.reason);
  say(parts.number, alert.occurrences > 1 ? `${alert.occurrences.toLocaleString()} times` : "");
  say(parts.held, [
    alert.silenced_until ? `silenced until ${clock(alert.silenced_until)}` : "",
    alert.quiet_until ? `quiet until ${clock(alert.quiet_until)}` : "",
  ].filter(Boolean).join(", "));
}
