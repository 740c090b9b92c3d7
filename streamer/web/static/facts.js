/** What is known, as names and values; what is not is left out. */

import { el } from "./dom.js";

/** Return the list; `show` takes pairs of a name and a text or an element. */
export function facts() {
  const element = el("dl", { class: "facts" });

  function show(pairs) {
    const known = pairs.filter(([, value]) => value);
    element.replaceChildren(...known.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  return { element, show };
}
