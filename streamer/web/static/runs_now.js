/** The runs that have not ended: how many in which state, and those that are worth a look first. */

import { ask } from "./ask.js";
import { beatStrip, drawBeats } from "./beats.js";
import { each, el, mark, say } from "./dom.js";
import { isAny, questionOf } from "./filters.js";
import { panel } from "./panel.js";
import { deploymentPath, link, runPath } from "./router.js";
import { UNFINISHED, called, held, setState, state } from "./states.js";
import { setSince, since } from "./time.js";

const MOST = 30;
const AGAIN_AFTER = 2000;

/** Return the panel; those that are `wanted` are asked for if that is not all, and `choose` is told of a state. */
export function runsNow(wanted, choose) {
  const counts = el("div", { class: "counts" });
  const body = el("ul", { class: "runs" });
  const note = el("p", { class: "note" });
  const element = panel("runs-now", "Runs now", counts, body, note);
  let asked = "";
  let askedAt = 0;

  function update(runs) {
    countStates(counts, runs, wanted().state, choose);
    if (isAny(wanted())) {
      askFor(wanted());
    } else {
      asked = "";
      show(runs.items, runs.total - (runs.by_state.SCHEDULED ?? 0), "No run is under way.");
    }
  }

  async function askFor(filters) {
    const question = JSON.stringify(filters);
    if (question === asked && Date.now() - askedAt < AGAIN_AFTER) return;
    [asked, askedAt] = [question, Date.now()];
    try {
      const { items, next } = await ask("api/runs", { ...questionOf(filters), limit: MOST });
      const found = items.map(presentOf).sort(judgedFirst);
      if (asked === question) show(found, found.length + (next ? 1 : 0), "No such run is under way.");
    } catch (problem) {
      if (asked === question) say(note, `These runs cannot be asked for: ${problem.message}.`);
    }
  }

  function show(items, total, ifNone) {
    each(body, items, { key: (run) => run.id, make: runItem, update: updateRun });
    const left = total - items.length;
    say(note, total === 0 ? ifNone : left > 0 ? `and ${isAny(wanted()) ? "" : left.toLocaleString()} more` : "");
  }

  return { element, update };
}

function countStates(counts, runs, chosen, choose) {
  each(counts, UNFINISHED.filter((type) => runs.by_state[type]), {
    key: (type) => type,
    make: (type) => el("button", { type: "button", class: "count", "data-state": type, click: () => choose(type) }),
    update: (button, type) => {
      say(button, `${called(type)} ${runs.by_state[type].toLocaleString()}`);
      mark(button, "aria-pressed", String(chosen === type));
    },
  });
}

/** Return a run of `/api/runs` as the stream tells of runs: it has only the last heartbeat. */
function presentOf(run) {
  const beats = run.last_heartbeat ? [run.last_heartbeat] : [];
  return { ...run, type: run.state.type, state: run.state.name, beats, interval: null };
}

const judgedFirst = (one, other) => Number(Boolean(other.verdict)) - Number(Boolean(one.verdict));

function runItem(run) {
  const parts = {
    name: link(runPath(run.id)),
    whose: el("span", { class: "whose" }),
    state: state(run.type, run.state),
    age: since(run.since),
    strip: beatStrip(),
    beat: since(null),
    ago: el("span", { class: "ago" }),
    why: el("p", { class: "why" }),
  };
  const item = el(
    "li",
    {},
    el("span", { class: "who" }, parts.name, parts.whose),
    el("span", { class: "how" }, parts.state, parts.age),
    el("span", { class: "pulse" }, parts.strip, el("span", {}, parts.beat, parts.ago)),
    parts.why,
  );
  item.parts = parts;
  return item;
}

function updateRun(item, run) {
  const { parts } = item;
  say(parts.name, run.name ?? run.id);
  if (parts.whose.dataset.of !== (run.deployment?.id ?? run.flow?.id ?? "")) showWhose(parts.whose, run);
  setState(parts.state, run.type, run.state);
  setSince(parts.age, run.since);
  drawBeats(parts.strip, run.beats, run.interval);
  setSince(parts.beat, run.beats.at(-1) ?? null);
  say(parts.ago, run.beats.length ? " ago" : "");
  mark(item, "data-verdict", run.verdict?.status ?? null);
  showWhy(parts.why, run);
}

function showWhose(whose, run) {
  whose.dataset.of = run.deployment?.id ?? run.flow?.id ?? "";
  const name = run.flow?.name ?? run.flow?.id ?? "";
  whose.replaceChildren(name);
  if (run.deployment) whose.append(" / ", link(deploymentPath(run.deployment.id), run.deployment.name ?? "deployment"));
}

function showWhy(paragraph, run) {
  const key = run.verdict ? `${run.verdict.status} ${run.verdict.reason} ${run.verdict.at}` : "";
  if (paragraph.dataset.of === key) return;
  paragraph.dataset.of = key;
  paragraph.replaceChildren(...held(run.verdict));
}
