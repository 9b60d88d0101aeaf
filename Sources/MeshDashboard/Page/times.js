// Times: on the wire RFC 3339 with nanoseconds, here milliseconds since the epoch.

/** How far the mesh's clock is ahead of this browser's. */
let lead = 0;

/** Takes in what time it is for the mesh. */
export function synchronize(rfc3339) {
  const measured = parse(rfc3339) - Date.now();
  // A second is what a message may take; below that the clocks agree.
  lead = Math.abs(measured) < 1000 ? 0 : measured;
}

/** What time it is for the mesh. */
export const now = () => Date.now() + lead;

export function parse(rfc3339) {
  const time = Date.parse(rfc3339);
  return Number.isNaN(time) ? Date.parse(rfc3339.replace(/(\.\d{3})\d+/, "$1")) : time;
}

const two = (number) => String(number).padStart(2, "0");

/** 21:04:05.123 */
export function clock(time, withMilliseconds = true) {
  const date = new Date(time);
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return withMilliseconds ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

/** 2026-11-25 21:04:05.123 +01:00, for titles. */
export function absolute(time) {
  const date = new Date(time);
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(time)} ${zone}`;
}

/** now, 3 s, 5 min, 2 h, 4 d: how long ago. */
export function age(time) {
  const seconds = Math.floor((now() - time) / 1000);
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** The same in a sentence. */
export function ago(time) {
  const text = age(time);
  return text === "now" ? text : `${text} ago`;
}

/** Every second, while the page is visible. */
export function everySecond(body) {
  setInterval(() => { if (!document.hidden) body(); }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) body(); });
}
