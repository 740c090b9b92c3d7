/** The sinks: how far each is, how fast it takes what there is, and what it refused. */

import { each, el, mark, say } from "./dom.js";
import { panel } from "./panel.js";
import { lettersPath, link } from "./router.js";
import { table } from "./table.js";
import { setSince, since } from "./time.js";

const COLUMNS = ["Sink", "State", "Behind", "Waiting for", "Rate", "Failed writes", "Dead letters"];

/** Return the panel. */
export function sinks() {
  const list = table("Sinks", COLUMNS);
  const none = el("p", { class: "note" }, "No sink is configured: add one with --sink.");
  const element = panel("sinks", "Sinks", null, list.element, none);

  function update(all) {
    mark(list.element, "hidden", all.length ? null : "");
    mark(none, "hidden", all.length ? "" : null);
    each(list.body, all, { key: (sink) => sink.name, make: sinkRow, update: updateSink });
  }

  return { element, update };
}

function sinkRow(sink) {
  const letters = link(lettersPath(sink.name));
  const trouble = el("p", { class: "trouble" });
  const [behind, rate, failed] = [el("td"), el("td"), el("td")];
  const state = el("span", { class: "sink-state" });
  const parts = { state, behind, pending: since(null), rate, failed, letters, trouble };
  const row = el(
    "tr",
    {},
    el("th", { scope: "row" }, sink.name, sink.type ? el("span", { class: "whose" }, sink.type) : null, trouble),
    el("td", {}, parts.state),
    parts.behind,
    el("td", {}, parts.pending),
    parts.rate,
    parts.failed,
    el("td", {}, letters),
  );
  row.parts = parts;
  return row;
}

function updateSink({ parts }, sink) {
  say(parts.state, sink.state);
  mark(parts.state, "data-sink", sink.state);
  say(parts.behind, sink.behind.toLocaleString());
  setSince(parts.pending, sink.behind ? sink.oldest_pending : null);
  say(parts.rate, `${sink.rate.toLocaleString()}/s`);
  say(parts.failed, sink.failed.toLocaleString());
  say(parts.letters, sink.dead_letters.toLocaleString());
  mark(parts.letters, "data-some", sink.dead_letters ? "" : null);
  say(parts.trouble, sink.trouble ?? "");
}
