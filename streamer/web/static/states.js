/** Prefect's types of states, in the order in which a run goes through them, and how they are shown. */

import { el } from "./dom.js";
import { since } from "./time.js";

export const STATES = [
  "SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "COMPLETED", "CANCELLED", "FAILED", "CRASHED",
];
export const UNFINISHED = STATES.slice(0, 5);
export const ENDED = STATES.slice(5);

const REASONS = {
  heartbeat_missing: "its heartbeats stopped",
  never_heartbeat: "it never sent a heartbeat",
  pending_too_long: "pending for too long",
  cancelling_too_long: "cancelling for too long",
  retry_overdue: "its retry is overdue",
  scheduled_late: "it did not start in time",
  running_too_long: "running for too long",
  beats_after_crash: "it beats on after it crashed",
  heartbeat: "it beats again",
  transition: "it went on",
};

/** Return a type of state as people write it. */
export const called = (type) => (type ? type[0] + type.slice(1).toLowerCase() : "none");

/** Return why a verdict was given, in words. */
export const why = (reason) => REASONS[reason] ?? reason.replaceAll("_", " ");

/** Return a state by its name, in the colour of its type. */
export function state(type, name) {
  return el("span", { class: "state", "data-state": type ?? "" }, name ?? called(type));
}

export function setState(element, type, name) {
  element.dataset.state = type ?? "";
  if (element.textContent !== name) element.textContent = name ?? called(type);
}

/** Return what is said of a run that a verdict stands of; nothing of others. */
export function held(ruling) {
  return ruling ? [verdict(ruling.status), ` ${why(ruling.reason)}, said `, since(ruling.at), " ago"] : [];
}

/** Return what a run is held to be. */
export function verdict(status) {
  return el("span", { class: "verdict", "data-verdict": status }, status);
}
