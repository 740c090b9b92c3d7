/** The view of a run: what became of it, whether it is alive, and what it said. */

import { ask } from "./ask.js";
import { beatStrip, drawBeats, usualInterval } from "./beats.js";
import { el, mark, say } from "./dom.js";
import { listen, model } from "./model.js";
import { setTitle } from "./masthead.js";
import { facts } from "./facts.js";
import { logLines } from "./log_lines.js";
import { panel } from "./panel.js";
import { deploymentPath, link } from "./router.js";
import { held, setState, state } from "./states.js";
import { taskRuns } from "./task_runs.js";
import { duration, since, stamp } from "./time.js";
import { timeline } from "./timeline.js";

const AGAIN_AFTER = 3000;

/** Return the view of a run; it follows the run for as long as it is shown. */
export function run(id) {
  const path = `api/runs/${encodeURIComponent(id)}`;
  const name = el("h1", {}, id);
  const shown = state(null, "");
  const ruling = el("p", { class: "why" });
  const about = facts();
  const states = timeline();
  const strip = beatStrip(480);
  const beaten = el("p", { class: "note" });
  const tasks = taskRuns();
  const lines = logLines((offset) => ask(`${path}/logs`, { offset }));
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const element = el(
    "article",
    { class: "run-view" },
    el("div", { class: "title" }, link("", "← all runs"), name, shown),
    problem,
    ruling,
    about.element,
    panel("timeline", "States", null, states.element),
    panel("heartbeats", "Heartbeats", null, strip, beaten),
    panel("tasks", "Task runs", null, tasks.element),
    panel("log", "Log", null, lines.element),
  );
  let lastSeq = 0;
  let isOver = false;

  async function refresh() {
    try {
      const answers = ["", "/transitions", "/heartbeats"].map((part) => ask(path + part));
      const [known, moves, beats] = await Promise.all(answers);
      show(known, moves.items, beats.items.map((beat) => beat.received));
      mark(problem, "hidden", "");
    } catch (error) {
      say(problem, `This run cannot be shown: ${error.message}.`);
      mark(problem, "hidden", null);
    }
    lines.refresh();
    ask(`${path}/task_runs`).then((found) => tasks.show(found.items), tasks.fail);
  }

  function show(known, moves, beats) {
    isOver = Boolean(known.ended);
    setTitle(known.name ?? id);
    say(name, known.name ?? id);
    setState(shown, known.state.type, known.state.name ?? "unknown");
    ruling.replaceChildren(...held(known.verdict));
    about.show(factsOf(known));
    states.show(moves);
    showBeats(beats, known.ended);
  }

  function showBeats(beats, ended) {
    const interval = usualInterval(beats);
    drawBeats(strip, beats, interval, ended ? Date.parse(ended) : undefined);
    const every = interval ? `, one every ${duration(interval)}` : "";
    const number = beats.length === 1 ? "One" : `The last ${beats.length}`;
    if (beats.length) beaten.replaceChildren(`${number}${every}; the newest `, since(beats.at(-1)), " ago.");
    else beaten.replaceChildren("There were none.");
  }

  /** Look again when the feed tells of this run. */
  function hear() {
    const news = model.rows.some((row) => row.seq > lastSeq && row.run === id);
    lastSeq = model.rows.at(-1)?.seq ?? lastSeq;
    if (news) refresh();
  }

  hear();
  refresh();
  const unlisten = listen((changed) => changed.has("rows") && hear());
  const timer = setInterval(() => !isOver && !document.hidden && refresh(), AGAIN_AFTER);
  return {
    element,
    leave() {
      unlisten();
      clearInterval(timer);
    },
  };
}

function factsOf(run) {
  return [
    ["Flow", run.flow?.name ?? run.flow?.id],
    ["Deployment", run.deployment && link(deploymentPath(run.deployment.id), run.deployment.name ?? run.deployment.id)],
    ["Work pool", run.work_pool?.name ?? run.work_pool?.id],
    ["Tags", run.tags.length ? el("span", { class: "tags" }, ...run.tags.map((tag) => el("span", {}, tag))) : null],
    ["Attempt", run.run_count > 1 ? String(run.run_count) : null],
    ["Due", run.due && stamp(run.due)],
    ["Started", run.started && stamp(run.started)],
    ["Ended", run.ended && stamp(run.ended)],
    ["Took", run.duration === null ? null : duration(run.duration)],
    ["Deleted", run.deleted && stamp(run.deleted)],
    ["Id", el("code", {}, run.id)],
    ["Prefect", run.url && el("a", { href: run.url, rel: "noreferrer" }, "the run's page there")],
  ];
}
