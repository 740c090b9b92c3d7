/** The view of a deployment: its last runs as a strip, how often it succeeds, and how soon. */

import { ask } from "./ask.js";
import { el, mark, say } from "./dom.js";
import { facts } from "./facts.js";
import { listen, model } from "./model.js";
import { setTitle } from "./masthead.js";
import { panel } from "./panel.js";
import { link, runPath } from "./router.js";
import { called, state } from "./states.js";
import { table } from "./table.js";
import { duration, since, stamp } from "./time.js";

const SHOWN = 60;
const WEEK = 7 * 24 * 3600 * 1000;

/** Return the view of a deployment; it follows its runs for as long as it is shown. */
export function deployment(id) {
  const name = el("h1", {}, id);
  const about = facts();
  const strip = el("ol", { class: "strip" });
  const list = table("Runs", ["Run", "State", "Started", "Took"]);
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const element = el(
    "article",
    { class: "deployment-view" },
    el("div", { class: "title" }, link("", "← all runs"), name),
    problem,
    about.element,
    panel("strip-panel", "Last runs", el("span", { class: "note" }, "the newest at the right"), strip),
    panel("last-runs", "Runs", null, list.element),
  );
  let lastSeq = 0;

  async function refresh() {
    const since = new Date(Date.now() - WEEK).toISOString();
    try {
      const [found, runs, week] = await Promise.all([
        ask("api/deployments", { names: id }),
        ask("api/runs", { deployments: id, limit: SHOWN }),
        ask("api/runs/count", { deployments: id, since }),
      ]);
      if (!found.items.length) throw new Error(`no runs of a deployment ${id} are known here`);
      show(found.items[0], runs.items, week.by_state);
      mark(problem, "hidden", "");
    } catch (error) {
      say(problem, `This deployment cannot be shown: ${error.message}.`);
      mark(problem, "hidden", null);
    }
  }

  function show(known, runs, week) {
    setTitle(known.name ?? id);
    say(name, known.name ?? id);
    about.show(factsOf(known, runs, week));
    strip.replaceChildren(...[...runs].reverse().map(cell));
    list.body.replaceChildren(...runs.map(row));
  }

  function hear() {
    const news = model.rows.some((each) => each.seq > lastSeq && each.deployment?.id === id);
    lastSeq = model.rows.at(-1)?.seq ?? lastSeq;
    if (news) refresh();
  }

  hear();
  refresh();
  return { element, leave: listen((changed) => changed.has("rows") && hear()) };
}

function factsOf(known, runs, week) {
  const successes = runs.filter((run) => run.state.type === "COMPLETED" && run.ended);
  const base = known.latest.url?.replace(/\/runs\/flow-run\/[^/]*$/, "");
  return [
    ["Flow", known.flow?.name ?? known.flow?.id],
    ["Runs known", known.runs.toLocaleString()],
    ["Success, last 7 days", rate(week)],
    ["Time to success", median(successes.map(timeToSuccess))],
    ["Run time", median(successes.map((run) => run.duration))],
    ["Last success", known.latest_successful ? ago(known.latest_successful) : "none yet"],
    ["Last failure", known.latest_failed ? ago(known.latest_failed) : "none"],
    ["Failed since then", known.consecutive_failures ? `${known.consecutive_failures} in a row` : null],
    ["Prefect", base && theirPage(`${base}/deployments/deployment/${known.id}`)],
  ];
}

function theirPage(href) {
  return el("a", { href, rel: "noreferrer" }, "the deployment's page there");
}

function rate({ COMPLETED: good = 0, FAILED: failed = 0, CRASHED: crashed = 0 }) {
  const ended = good + failed + crashed;
  const share = ((good / ended) * 100).toFixed(good === ended ? 0 : 1);
  return ended ? `${share} % of ${ended.toLocaleString()}` : "no run has ended";
}

/** Return the seconds from when a run was due, or first heard of, until it had succeeded, waits and retries too. */
function timeToSuccess(run) {
  return (Date.parse(run.ended) - Date.parse(run.due ?? run.created)) / 1000;
}

function median(seconds) {
  const sorted = seconds.filter((each) => each !== null && each >= 0).sort((one, other) => one - other);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  return sorted.length ? `${duration(middle)}, the median of ${sorted.length}` : null;
}

function ago(run) {
  return el("span", {}, link(runPath(run.id), run.name ?? run.id), ", ", since(run.ended), " ago");
}

function cell(run) {
  const text = `${run.name ?? run.id}: ${run.state.name ?? called(run.state.type)}`;
  const anchor = link(runPath(run.id));
  anchor.setAttribute("aria-label", text);
  anchor.title = text;
  return el("li", { "data-state": run.state.type ?? "" }, anchor);
}

function row(run) {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, link(runPath(run.id), run.name ?? run.id)),
    el("td", {}, state(run.state.type, run.state.name)),
    el("td", {}, run.started ? stamp(run.started) : ""),
    el("td", {}, duration(run.duration)),
  );
}
