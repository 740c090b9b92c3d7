/** What happens: the newest transitions and verdicts, newest first. */

import { each, el, say } from "./dom.js";
import { isAny, wants } from "./filters.js";
import { model } from "./model.js";
import { panel } from "./panel.js";
import { link, runPath } from "./router.js";
import { called, state, verdict, why } from "./states.js";
import { stamp } from "./time.js";

const SHOWN = 40;

/** Return the panel; it shows what is `wanted`. */
export function feed(wanted) {
  const body = el("ol", { class: "feed-rows" });
  const note = el("p", { class: "note" });
  const pause = el("button", { type: "button", class: "quiet", "aria-pressed": "false", click: toggle }, "Pause");
  const element = panel("feed", "Live", pause, body, note);
  let paused = null;

  function toggle() {
    paused = paused ? null : { rows: [...model.rows], leftOut: model.leftOut };
    pause.setAttribute("aria-pressed", String(Boolean(paused)));
    update();
  }

  function update() {
    const { rows, leftOut } = paused ?? model;
    const found = [];
    const isWanted = wants(wanted());
    for (let place = rows.length - 1; place >= 0 && found.length < SHOWN; place--) {
      if (isWanted(rows[place])) found.push(rows[place]);
    }
    each(body, found, { key: (row) => row.seq, make: feedRow });
    say(note, noteOn(found, leftOut));
    say(pause, paused ? `Go on${newer(rows)}` : "Pause");
  }

  function newer(rows) {
    const last = rows.at(-1)?.seq ?? 0;
    const number = model.rows.filter((row) => row.seq > last).length;
    return number ? ` (${number.toLocaleString()} new)` : "";
  }

  function noteOn(found, leftOut) {
    if (!found.length && isAny(wanted())) return "Nothing of that kind lately.";
    if (!found.length) return "Nothing has happened yet: start a flow.";
    return leftOut ? `Too much at once: ${leftOut.toLocaleString()} others that went well are not listed.` : "";
  }

  return { element, update };
}

function feedRow(row) {
  const whose = [row.flow?.name, row.deployment?.name].filter(Boolean).join(" / ");
  return el(
    "li",
    { "data-kind": row.kind },
    stamp(row.at),
    el("span", { class: "what" }, ...(row.kind === "verdict" ? ruled(row) : moved(row))),
    el("span", { class: "who" }, link(runPath(row.run), row.name ?? row.run), el("span", { class: "whose" }, whose)),
    saysMore(row) && el("span", { class: "message", title: row.message }, row.message),
  );
}

/** Tell whether a message is worth a line: that all went well is said already. */
function saysMore(row) {
  return row.kind === "transition" && row.type !== "COMPLETED" && Boolean(row.message);
}

function moved(row) {
  const after = state(row.type, row.state);
  if (!row.before) return [after];
  return [el("span", { class: "before" }, called(row.before)), el("span", { class: "arrow" }, "→"), after];
}

function ruled(row) {
  return [verdict(row.state), el("span", { class: "before" }, ` ${why(row.message)}`)];
}
