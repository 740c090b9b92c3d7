/** The view of what a sink refused for good: why, and for whoever has the token another try. */

import { ask, command } from "./ask.js";
import { el, mark, say } from "./dom.js";
import { setTitle } from "./masthead.js";
import { panel } from "./panel.js";
import { link } from "./router.js";
import { table } from "./table.js";
import { stamp } from "./time.js";

const SHOWN = 100;
const TOKEN_NOTE =
  "It is in the store's lock file, or that of access.token; this page keeps it until it is left.";

/** Return the view. */
export function deadLetters(sink) {
  const note = el("p", { class: "note" });
  const result = el("p", { class: "result", role: "status" });
  const token = el("input", { type: "password", id: "token", autocomplete: "off", required: true });
  const all = el("button", { type: "submit" }, "Retry these");
  const order = el(
    "form",
    { class: "order", submit: (event) => retry(event, shown) },
    el("label", { for: "token" }, "Token"),
    token,
    all,
    el("span", { class: "note" }, TOKEN_NOTE),
  );
  const letters = table("Dead letters", ["Record", "Reason", "Refused", "Bytes", "Another try"]);
  const element = el(
    "article",
    { class: "letters-view" },
    el("div", { class: "title" }, link("", "← all runs"), el("h1", {}, `Dead letters of ${sink}`)),
    panel("letters", "Refused for good", null, order, result, letters.element, note),
  );
  let shown = [];

  async function refresh() {
    try {
      const { total, dead_letters: found } = await ask("api/dead-letters", { sink, limit: SHOWN });
      shown = found.map((letter) => letter.seq);
      letters.body.replaceChildren(...found.map(row));
      say(note, noteOn(found.length, total));
      mark(order, "hidden", total ? null : "");
      mark(letters.element, "hidden", total ? null : "");
    } catch (problem) {
      say(note, `They cannot be shown: ${problem.message}.`);
    }
  }

  async function retry(event, seqs) {
    event.preventDefault();
    if (!order.reportValidity()) return;
    all.disabled = true;
    try {
      const { retried, delivered } = await command("dead-letters/retry", { sink, seqs }, token.value);
      say(result, `The sink has taken ${delivered} of ${retried}.`);
      await refresh();
    } catch (problem) {
      say(result, `That was not done: ${problem.message}.`);
    }
    all.disabled = false;
  }

  function row(letter) {
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, String(letter.seq)),
      el("td", { class: "message" }, letter.reason),
      el("td", {}, stamp(letter.buried)),
      el("td", {}, letter.size.toLocaleString()),
      el("td", {}, el("button", { type: "button", click: (event) => retry(event, [letter.seq]) }, "Retry")),
    );
  }

  setTitle(`dead letters of ${sink}`);
  refresh();
  return { element };
}

function noteOn(shown, total) {
  if (!total) return "There are none.";
  return total > shown ? `These are the newest of ${total.toLocaleString()}.` : "";
}
