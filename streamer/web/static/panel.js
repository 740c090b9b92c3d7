/** A part of a view with a heading. */

import { el } from "./dom.js";

let number = 0;

/** Return a section that is named by its heading; `beside` stands next to it. */
export function panel(name, heading, beside, ...children) {
  const id = `heading-${++number}`;
  return el(
    "section",
    { class: `panel ${name}`, "aria-labelledby": id },
    el("div", { class: "panel-head" }, el("h2", { id }, heading), beside),
    ...children,
  );
}
