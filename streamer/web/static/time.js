/** Times: in the viewer's zone, by the server's clock, exact on hover. */

import { el, mark, say } from "./dom.js";

const MINUTES = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const MINUTE = new Intl.DateTimeFormat(undefined, MINUTES);
const CLOCK = new Intl.DateTimeFormat(undefined, { ...MINUTES, second: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const EXACT = new Intl.DateTimeFormat(undefined, {
  ...MINUTES, year: "numeric", month: "short", day: "numeric", second: "2-digit", fractionalSecondDigits: 3,
  timeZoneName: "short",
});
const UNITS = [["d", 86400], ["h", 3600], ["m", 60]];

let ahead = 0;

/** Take note of the server's time: this machine's clock may be wrong. */
export function setServerTime(moment) {
  ahead = Date.parse(moment) - Date.now();
}

/** Return the server's time in milliseconds since 1970. */
export function now() {
  return Date.now() + ahead;
}

/** Return a duration in words of two units at most, such as `3m 20s`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))}ms`;
  if (seconds < 10) return `${Number(seconds.toFixed(1))}s`;
  let left = Math.round(seconds);
  if (left < 60) return `${left}s`;
  const at = UNITS.findIndex(([, length]) => left >= length);
  const [unit, length] = UNITS[at];
  const [next, shorter] = UNITS[at + 1] ?? ["s", 1];
  const rest = Math.floor((left % length) / shorter);
  return `${Math.floor(left / length)}${unit}${rest ? ` ${rest}${next}` : ""}`;
}

/** Return how long ago something was, in whole seconds at least. */
export function age(moment) {
  const seconds = Math.max(0, Math.floor((now() - Date.parse(moment)) / 1000));
  return seconds < 10 ? `${seconds}s` : duration(seconds);
}

export const exact = (moment) => EXACT.format(new Date(moment));

export const minuteOf = (moment) => MINUTE.format(new Date(moment));

/** Return the time of day, with the day if it is not today's. */
export function clock(moment) {
  const day = DAY.format(new Date(moment));
  const time = CLOCK.format(new Date(moment));
  return day === DAY.format(new Date(now())) ? time : `${day} ${time}`;
}

/** Return an element that shows when something was. */
export function stamp(moment) {
  return moment ? el("time", { datetime: moment, title: exact(moment) }, clock(moment)) : "";
}

/** Return an element that shows how long ago something was, and goes on doing so. */
export function since(moment) {
  return setSince(el("time", { "data-since": "" }), moment);
}

export function setSince(element, moment) {
  if (element.dateTime !== (moment ?? "")) {
    element.dateTime = moment ?? "";
    mark(element, "title", moment ? exact(moment) : null);
  }
  say(element, moment ? age(moment) : "");
  return element;
}

/** Keep all ages on the page up to date. */
export function keepTime() {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time[data-since]")) {
      if (element.dateTime) say(element, age(element.dateTime));
    }
  }, 1000);
}
