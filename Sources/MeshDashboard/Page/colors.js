// Which color a type has: those of the mesh by what they mean, those of users by their name.

const KNOWN = {
  "tool.crashed": "bad", "node.left": "warn", "tool.stopped": "sand", "node.health": "idle", "node.joined": "ok",
  "tool.unhealthy": "warn", "tool.healthy": "ok", "tool.ready": "teal",
  "tool.started": "teal", "tool.installed": "blue", "tool.configured": "indigo", "tool.removed": "sand",
  "tool.finished": "teal", "tool.skipped": "orange",
  "node.unreachable": "bad", "node.recovered": "ok",
  "tool.controlled": "indigo",
  "alert.fired": "bad", "alert.resolved": "ok", "alert.silenced": "sand", "alert.undelivered": "orange",
};
const OTHERS = ["violet", "cyan", "pink", "lime", "orange", "plum"];

/** These types are marked in the histogram, and named in its legend however few events have them. */
export const MARKED = ["tool.crashed", "node.left", "node.unreachable", "node.recovered"];

/** The name of a color; `--color-NAME` in page.css is what it looks like. */
export function colorName(type) {
  if (Object.hasOwn(KNOWN, type)) return KNOWN[type];
  let hash = 0;
  for (const character of type) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return OTHERS[hash % OTHERS.length];
}

const SEVERITIES = { critical: "bad", warning: "warn", info: "blue" };

/** The name of the color of an alert. */
export const severityColor = (severity) => Object.hasOwn(SEVERITIES, severity) ? SEVERITIES[severity] : "warn";

/** The name of an event's color: that of its type, and of an alert that fires, that of its severity. */
export const eventColor = ({ type, data }) => type === "alert.fired" ? severityColor(data?.severity) : colorName(type);

/** What a color looks like now, for the canvas. */
export function colorValue(name, element = document.documentElement) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(--color-${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
