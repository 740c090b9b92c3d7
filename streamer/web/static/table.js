/** A table that may be wider than the page. */

import { el } from "./dom.js";

/** Return the table and its body; it is named by `label`, since who has only a keyboard scrolls it by itself. */
export function table(label, columns) {
  const body = el("tbody");
  const head = el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name))));
  const named = { class: "wide", tabindex: "0", role: "group", "aria-label": label };
  const element = el("div", named, el("table", {}, head, body));
  return { element, body };
}
