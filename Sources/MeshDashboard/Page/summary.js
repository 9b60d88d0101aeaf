// An event's data in one line.

import { el } from "/dom.js";

/** So many characters are more than a line can show. */
const ENOUGH = 300;
const MAXIMUM_VALUE = 240;
const MAXIMUM_KEY = 80;
/** Objects in objects are written out so deep, then as JSON. */
const MAXIMUM_DEPTH = 2;
/** What matters most about an alert comes first, since the end of a line is not seen. */
const OF_ALERTS = ["rule", "target", "severity", "group", "reason", "count", "waiting", "for_s", "by"];

/** `key=value key.inner=value .inner=value`, the keys dimmed; one that begins with a point is in the same object. */
export function summary(event) {
  if (event.data_bytes) return [el("em", {}, `${event.data_bytes.toLocaleString("en")} bytes of data`)];
  const parts = [];
  let length = 0;
  for (const [key, value] of members(inOrder(event), "", 1)) {
    const shown = (typeof value === "string" ? value : JSON.stringify(value)).slice(0, MAXIMUM_VALUE);
    parts.push(el("i", {}, `${key.slice(0, MAXIMUM_KEY)}=`), el("span", {}, shown), " ");
    length += key.length + shown.length;
    if (length > ENOUGH) break;
  }
  return parts;
}

/** The data of an event; of one about alerts, in the order in which a line shows it. */
function inOrder({ type, data }) {
  if (!type.startsWith("alert.") || data === null || typeof data !== "object") return data ?? {};
  const first = OF_ALERTS.filter((key) => Object.hasOwn(data, key) && data[key] !== "").map((key) => [key, data[key]]);
  return Object.fromEntries([...first, ...Object.entries(data).filter(([key]) => !OF_ALERTS.includes(key))]);
}

function* members(object, prefix, depth) {
  for (const [key, value] of Object.entries(object)) {
    const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
    if (isObject && depth < MAXIMUM_DEPTH && Object.keys(value).length) yield* members(value, key, depth + 1);
    else if (depth === 1) yield [key, value];
    else yield [`${prefix}.${key}`, value];
    if (depth > 1) prefix = "";
  }
}
