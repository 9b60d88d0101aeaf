// Nodes as cards: how they are, what they have left, and how that went.

import { $, el, svg, text, title } from "/dom.js";
import { absolute, ago, clock, now, parse } from "/times.js";
import { isInMaintenance } from "/trouble.js";

/** So many cards can be looked at; what is beyond is counted. */
const MAXIMUM = 300;

export class Cards {
  cards = new Map();

  constructor(filters) { this.filters = filters; }

  /** `samples` has for each node what it said of itself, oldest first; `missing` nodes are not in `all`. */
  render(all, samples, isKnown, missing) {
    const list = $("nodes");
    const nodes = all.slice(0, MAXIMUM);
    const names = new Set(nodes.map(({ name }) => name));
    for (const [name, card] of this.cards) if (!names.has(name)) { card.root.remove(); this.cards.delete(name); }
    list.querySelector(".empty")?.remove();
    if (!nodes.length && isKnown) {
      list.append(el("li", { class: "empty" }, el("p", {}, "No node has joined yet. Start one:"), el("code", {}, "mesh-events serve")));
    }
    nodes.forEach((node, index) => {
      let card = this.cards.get(node.name);
      if (!card) this.cards.set(node.name, card = this.make(node.name));
      if (list.children[index] !== card.root) list.insertBefore(card.root, list.children[index] ?? null);
      fill(card, node, samples.get(node.name) ?? []);
    });
    list.querySelector(".more")?.remove();
    const more = all.length - nodes.length + missing;
    if (more > 0) list.append(el("li", { class: "more" }, `and ${more.toLocaleString("en")} more`));
  }

  make(name) {
    const show = () => this.filters.change({ node: this.filters.node === name ? "" : name });
    const button = el("button", { type: "button", class: "name", title: `Show the events of ${name}`, onclick: show }, name);
    const status = el("span", { class: "state" });
    const seen = el("time");
    const gauges = el("div", { class: "gauges" });
    const note = el("p", { class: "note" });
    return { root: el("li", { class: "card" }, el("div", { class: "top" }, button, status, seen), gauges, note), status, seen, gauges, note, key: "" };
  }
}

function fill(card, node, samples) {
  const seen = parse(node.last_seen);
  const status = isInMaintenance(node) ? "maintenance" : node.status;
  card.root.dataset.status = status;
  text(card.status, status);
  card.status.dataset.status = status;
  text(card.seen, ago(seen));
  title(card.seen, `Last heard of ${absolute(seen)}`);
  card.seen.dateTime = new Date(seen).toISOString();
  const key = `${samples.at(-1)?.sequence}/${JSON.stringify(node.resources)}/${node.status}`;
  if (card.key !== key) {
    card.key = key;
    card.gauges.replaceChildren(...gauges(node.resources ?? {}, samples));
  }
  text(card.note, note(node));
  title(card.note, note(node));
}

function gauges({ cpu, mem_used_mb: used, mem_total_mb: total }, samples) {
  const parts = [];
  if (Number.isFinite(cpu)) parts.push(gauge("cpu", `${Math.round(cpu * 100)} %`, samples.map((sample) => sample.cpu)));
  if (Number.isFinite(used) && Number.isFinite(total)) {
    parts.push(gauge("mem", pair(used, total), samples.map((sample) => sample.memory)));
  }
  return parts;
}

const gauge = (name, value, values) => el("div", { class: "gauge" }, el("i", {}, name), sparkline(name, values), el("b", {}, value));

const UNITS = [["MB", 1], ["GB", 1024], ["TB", 1024 * 1024]];

const unit = (megabytes) => UNITS.findLast(([, one]) => megabytes >= one) ?? UNITS[0];

const amount = (megabytes, one) => (megabytes / one).toFixed(one > 1 && megabytes / one < 10 ? 1 : 0);

export function size(megabytes) {
  const [name, one] = unit(megabytes);
  return `${amount(megabytes, one)} ${name}`;
}

/** In the unit of the whole: 0.4 of 7.6 GB. */
function pair(used, total) {
  const [name, one] = unit(total);
  return `${amount(used, one)} of ${amount(total, one)} ${name}`;
}

/** The parts of 1 over time. */
export function sparkline(name, values) {
  const known = values.filter((value) => value !== null);
  const points = known.map((value, index) => {
    const x = known.length < 2 ? 100 : index / (known.length - 1) * 100;
    return `${x.toFixed(1)},${(15 - Math.max(0, Math.min(1, value)) * 14).toFixed(1)}`;
  });
  const picture = svg("svg", { viewBox: "0 0 100 16", class: "spark", role: "img", preserveAspectRatio: "none",
    "aria-label": `${name} over the last ${known.length} reports` });
  if (points.length > 1) {
    picture.append(svg("polygon", { points: `0,16 ${points.join(" ")} 100,16` }), svg("polyline", { points: points.join(" ") }));
  }
  return picture;
}

/** What else there is to say: what is wrong, or what it runs. */
function note(node) {
  if (isInMaintenance(node)) return maintenance(node);
  if (node.status === "left") return `Left: ${node.leave_reason || "it did not say why"}`;
  if (node.status === "unreachable") return `Not heard of for 3 of its intervals of ${Math.round(node.interval_s)} s`;
  if (node.status === "silent") return "It sends no health: it may be there or not";
  const checks = Object.entries(node.checks ?? {});
  if (checks.length) return checks.map(([name, problem]) => `${name}: ${problem}`).join("; ");
  if (node.status === "degraded") return `It says: ${node.reported_status}`;
  const count = (wanted) => node.tools.filter(({ state }) => state === wanted).length;
  const running = count("running"), failed = count("failed");
  const { disk_free_mb: disk } = node.resources ?? {};
  const version = node.capabilities?.version;
  return [
    Number.isFinite(disk) && `${size(disk)} free`,
    running ? `${running} ${running === 1 ? "tool" : "tools"}` : "no tool runs",
    failed && `${failed} failed`,
    typeof version === "string" && version,
  ].filter(Boolean).join(" · ");
}

/** Until when, why, and how the node is meanwhile. */
function maintenance({ status, maintenance_until: end, maintenance_reason: reason }) {
  const until = parse(end);
  const time = until - now() < 86_400_000 ? clock(until, false).slice(0, 5) : absolute(until).slice(0, 16);
  return `${status}, in maintenance until ${time}${reason ? `: ${reason}` : ""}`;
}
