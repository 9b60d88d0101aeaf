// What fires now: a strip above the mesh, the worst first. What is acknowledged or silenced comes after the rest.

import { $, el, once, text, title } from "/dom.js";
import { severityColor } from "/colors.js";
import { absolute, age, ago, clock, everySecond, now, parse } from "/times.js";

/** So many lines are shown until the strip is opened. */
const SHOWN = 3;
const RANKS = { critical: 0, warning: 1, info: 2 };
/** A label of this form can be a field of a condition. */
const FIELD = /^[\w\-@/:]+(\.[\w\-@/:]+)*$/;
/** A longer value may have been cut: no field would equal it. */
const MAXIMUM_VALUE = 255;
const NAME = "mesh-events";

export class Alerts extends EventTarget {
  /** `watcher`, `firing`, `silences`, `failing_targets` and `left_out`; null while no process has watched. */
  report = null;
  lines = new Map();
  isOpen = false;
  /** What was told to a screen reader: the ids of what fires. */
  told = "";

  constructor(filters) {
    super();
    this.filters = filters;
    this.draw = once(() => this.render());
    everySecond(this.draw);
    $("alerts-more").addEventListener("click", () => { this.isOpen = !this.isOpen; this.render(); });
  }

  set(report) {
    this.report = report;
    this.draw();
  }

  render() {
    const all = sorted(this.report?.firing ?? []);
    const missing = this.report?.left_out?.firing ?? 0;
    const unwatched = this.unwatched(all.length > 0);
    $("alerts").hidden = all.length === 0 && !unwatched;
    $("alerts-unwatched").hidden = !unwatched;
    text($("alerts-unwatched"), unwatched);
    if (all.length <= SHOWN) this.isOpen = false;
    this.renderLines(this.isOpen ? all : all.slice(0, SHOWN));
    const hidden = all.length - Math.min(all.length, SHOWN);
    $("alerts-more").hidden = hidden === 0;
    $("alerts-more").setAttribute("aria-expanded", String(this.isOpen));
    text($("alerts-more"), this.isOpen ? "Show only the worst" : `and ${(hidden + missing).toLocaleString("en")} more`);
    $("alerts-rest").hidden = !this.isOpen || missing === 0;
    text($("alerts-rest"), `and ${missing.toLocaleString("en")} more, too many to show`);
    this.renderTargets(this.report?.failing_targets ?? []);
    this.tell(all.filter((alert) => !isQuiet(alert)), missing);
  }

  renderLines(alerts) {
    const list = $("alerts-list");
    const ids = new Set(alerts.map(({ id }) => id));
    for (const [id, line] of this.lines) if (!ids.has(id)) { line.root.remove(); this.lines.delete(id); }
    alerts.forEach((alert, index) => {
      let line = this.lines.get(alert.id);
      if (!line) this.lines.set(alert.id, line = this.make());
      line.alert = alert;
      if (list.children[index] !== line.root) list.insertBefore(line.root, list.children[index] ?? null);
      fill(line);
    });
  }

  make() {
    const line = {
      severity: el("span", { class: "severity" }),
      rule: el("button", { type: "button", class: "rule", title: "Show the events behind it" }),
      about: el("span", { class: "about" }),
      quiet: el("span", { class: "quiet" }),
      reason: el("button", { type: "button", class: "reason", "aria-expanded": "false" }),
      count: el("span", { class: "times" }),
      since: el("time"),
    };
    line.root = el("li", { class: "alert" }, line.severity, line.rule, line.about,
      el("span", { class: "what" }, line.quiet, line.reason), line.count, line.since);
    line.root.addEventListener("click", ({ target }) => {
      if (line.reason.contains(target)) line.reason.setAttribute("aria-expanded", String(line.root.classList.toggle("is-whole")));
      else if (getSelection().isCollapsed) this.show(line.alert);
    });
    return line;
  }

  /** Says that no process watches; the empty text when one does. */
  unwatched(isFiring) {
    if (!this.report) return "";
    const { watcher } = this.report;
    if (watcher?.lost_since) return `No process watches the alerts: that of node ${watcher.node} has shown no sign of life for ${age(parse(watcher.lost_since))}`;
    return watcher || !isFiring ? "" : "No process watches the alerts: what fires is as the last one left it";
  }

  /** Targets that take nothing: people are not told there. */
  renderTargets(targets) {
    const box = $("alerts-targets");
    box.hidden = targets.length === 0;
    text(box, targets.slice(0, SHOWN).map(({ target, since }) => `${target} takes nothing since ${age(parse(since))}`).join(" · ")
      + (targets.length > SHOWN ? ` · and ${targets.length - SHOWN} more targets` : ""));
  }

  /** Shows the events about the same node and tool, and opens the newest of those that made it fire. */
  show({ rule, group, sequences }) {
    const wanted = { pattern: "", types: [], node: "", where: [], text: "", since: null, until: null };
    for (const [label, value] of Object.entries(group)) {
      if (value.length > MAXIMUM_VALUE) continue;
      if (label === "node") wanted.node = value;
      else if (label === "type") wanted.types = [value];
      else if (FIELD.test(label)) wanted.where.push(`${label} = ${JSON.stringify(value)}`);
    }
    if (!wanted.node && !wanted.types.length && !wanted.where.length) {
      wanted.pattern = "alert.*";
      wanted.where = [`rule = ${JSON.stringify(rule)}`];
    }
    this.filters.change(wanted);
    this.dispatchEvent(new CustomEvent("show", { detail: sequences.findLast(Number.isSafeInteger) ?? null }));
  }

  /** To a screen reader, and in the title of the tab. */
  tell(loud, missing) {
    const count = loud.length + missing;
    document.title = count ? `(${count.toLocaleString("en")}) ${NAME}` : NAME;
    const ids = loud.map(({ id }) => id).join(" ");
    if (ids === this.told) return;
    this.told = ids;
    const named = loud.slice(0, SHOWN).map((alert) => [alert.severity, alert.rule, about(alert)].filter(Boolean).join(" "));
    text($("alerts-told"), count === 0 ? "No alert fires" : `${count === 1 ? "An alert fires" : `${count.toLocaleString("en")} alerts fire`}: ${named.join("; ")}`);
  }
}

const silencedUntil = ({ silenced_until: until }) => until !== null && parse(until) > now() ? parse(until) : null;

export const isQuiet = (alert) => alert.acknowledged || silencedUntil(alert) !== null;

/** As the server sends them, those behind the others that no target is told of. */
export function sorted(firing) {
  const rank = (alert) => (isQuiet(alert) ? 10 : 0) + (RANKS[alert.severity] ?? 1);
  return firing.map((alert, index) => ({ alert, index, rank: rank(alert) }))
    .sort((one, other) => one.rank - other.rank || one.index - other.index)
    .map(({ alert }) => alert);
}

/** What it is about, as in notifications: `whisper on pi`. */
export function about({ group }) {
  const labels = Object.entries(group);
  if (labels.length === 2 && "tool" in group && "node" in group) return `${group.tool} on ${group.node}`;
  return labels.map(([label, value]) => label === "node" || label === "tool" ? value : `${label} ${value}`).join(", ");
}

function fill({ alert, root, severity, rule, about: what, quiet, reason, count, since }) {
  const until = silencedUntil(alert), time = parse(alert.since);
  root.dataset.quiet = isQuiet(alert) ? "yes" : "no";
  severity.dataset.color = severityColor(alert.severity);
  text(severity, alert.severity);
  text(rule, alert.rule);
  text(what, about(alert));
  title(what, about(alert));
  text(quiet, alert.acknowledged ? "acknowledged" : until === null ? ""
    : `silenced until ${until - now() < 86_400_000 ? clock(until, false).slice(0, 5) : absolute(until).slice(0, 16)}`);
  reason.hidden = alert.reason === "";
  text(reason, alert.reason);
  title(reason, alert.reason);
  text(count, alert.count > 1 ? `×${alert.count.toLocaleString("en")}` : "");
  title(count, alert.count > 1 ? `${alert.count.toLocaleString("en")} events counted` : "");
  text(since, age(time));
  title(since, `Fires since ${absolute(time)}, ${ago(time)}`);
  since.dateTime = new Date(time).toISOString();
}
