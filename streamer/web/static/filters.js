/** Pure: which rows and runs are wanted. A text is meant as a part of a name, or as a glob if it has `*` or `?`. */

import { UNFINISHED } from "./states.js";

export const FILTERS = ["flow", "deployment", "state", "tag", "text"];

/** Return the filters that an address asks for. */
export function filtersOf(asked) {
  return Object.fromEntries(FILTERS.map((name) => [name, asked.get(name)?.trim() ?? ""]));
}

export const isAny = (filters) => FILTERS.some((name) => filters[name]);

/** Return what tells whether a row is wanted. */
export function wants(filters) {
  const [flow, deployment, tag] = [filters.flow, filters.deployment, filters.tag].map(matching);
  const text = filters.text.toLowerCase();
  return (row) =>
    flow([row.flow?.name, row.flow?.id]) &&
    deployment([row.deployment?.name, row.deployment?.id]) &&
    tag(row.tags) &&
    (!filters.state || row.type === filters.state || row.state === filters.state) &&
    (!text || texts(row).some((each) => each?.toLowerCase().includes(text)));
}

/** Return the question to `/api/runs` that asks for the runs that have not ended and are wanted. */
export function questionOf(filters) {
  const states = filters.state && UNFINISHED.includes(filters.state) ? [filters.state] : UNFINISHED;
  return {
    flows: glob(filters.flow),
    deployments: glob(filters.deployment),
    tags: glob(filters.tag),
    names: glob(filters.text),
    states,
  };
}

function texts(row) {
  return [row.name, row.flow?.name, row.deployment?.name, row.state, row.message, row.run, ...row.tags];
}

function matching(text) {
  if (!text) return () => true;
  const pattern = new RegExp(`^${text.split(/([*?])/).map(asPattern).join("")}$`, "s");
  return (values) => values.some((each) => each && (/[*?]/.test(text) ? pattern.test(each) : each.includes(text)));
}

function asPattern(part) {
  return { "*": ".*", "?": "." }[part] ?? part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function glob(text) {
  if (!text || /[*?]/.test(text)) return text;
  return `*${text.replaceAll("[", "[[]")}*`;
}
