/** The fields that say which runs are wanted, for the runs and the feed alike. */

import { each, el } from "./dom.js";
import { FILTERS } from "./filters.js";
import { STATES, called } from "./states.js";

const SUGGESTED = 50;
const LABELS = { flow: "Flow", deployment: "Deployment", state: "State", tag: "Tag", text: "Text" };

/** Return the bar; `wanted` is called with the filters whenever they change. */
export function filterBar(filters, wanted) {
  const lists = byName(["flow", "deployment", "tag"], (name) => el("datalist", { id: `known-${name}` }));
  const fields = byName(FILTERS, (name) => (name === "state" ? choice() : field(name, lists[name])));
  const events = { input: changed, submit: (event) => event.preventDefault() };
  const clear = el("button", { type: "button", class: "quiet", click: () => set({}) }, "Clear");
  const element = el(
    "form",
    { class: "filters", role: "search", "aria-label": "Which runs", ...events },
    ...FILTERS.map((name) => el("label", {}, el("span", {}, LABELS[name]), fields[name])),
    clear,
    ...Object.values(lists),
  );

  function set(values) {
    for (const name of FILTERS) fields[name].value = values[name] ?? "";
    changed();
  }

  function changed() {
    const values = byName(FILTERS, (name) => fields[name].value.trim());
    clear.hidden = FILTERS.every((name) => !values[name]);
    wanted(values);
  }

  /** Suggest what occurs in rows. */
  function suggest(rows) {
    const recent = rows.slice(-SUGGESTED * 4);
    fill(lists.flow, recent.map((row) => row.flow?.name));
    fill(lists.deployment, recent.map((row) => row.deployment?.name));
    fill(lists.tag, recent.flatMap((row) => row.tags));
  }

  for (const name of FILTERS) fields[name].value = filters[name];
  clear.hidden = FILTERS.every((name) => !filters[name]);
  return { element, set, suggest };
}

function byName(names, make) {
  return Object.fromEntries(names.map((name) => [name, make(name)]));
}

function field(name, list) {
  return el("input", { name, type: "search", autocomplete: "off", spellcheck: "false", list: list ? list.id : null });
}

function choice() {
  const options = STATES.map((type) => el("option", { value: type }, called(type)));
  return el("select", { name: "state" }, el("option", { value: "" }, "any"), ...options);
}

function fill(list, names) {
  const known = [...new Set(names.filter(Boolean))].sort().slice(0, SUGGESTED);
  each(list, known, { key: (name) => name, make: (name) => el("option", { value: name }) });
}
