// The mesh as it is: nodes as cards, tools as a table.

import { $, el, svg, text, once, request } from "/dom.js";
import { absolute, ago, everySecond, parse } from "/times.js";

/** How many health events a sparkline shows. */
const SAMPLES = 60;
const STATES = { crashed: 0, running: 1, stopped: 2, installed: 3, removed: 4 };

export class Nodes {
  nodes = new Map();
  /** What each node said of itself, oldest first. */
  samples = new Map();
  cards = new Map();
  isKnown = false;

  constructor(filters) {
    this.filters = filters;
    this.draw = once(() => this.render());
    everySecond(this.draw);
  }

  /** The whole mesh. */
  set(mesh) {
    this.isKnown = true;
    this.nodes = new Map(mesh.nodes.map((node) => [node.name, node]));
    this.draw();
  }

  /** One node, as it is now. */
  update(node) {
    this.nodes.set(node.name, node);
    this.draw();
  }

  /** Looks up what nodes said before, for the sparklines. */
  async loadSamples() {
    try {
      const page = await request("/api/events?type=node.health&limit=1000");
      this.samples.clear();
      for (const event of page.events) this.sample(event);
      this.draw();
    } catch {
      // They fill with what comes.
    }
  }

  sample(event) {
    if (event.type !== "node.health" || !event.data?.resources) return;
    const list = this.samples.get(event.node) ?? [];
    if (list.length && list.at(-1).sequence >= event.sequence) return;
    const { cpu, mem_used_mb: used, mem_total_mb: total } = event.data.resources;
    list.push({ sequence: event.sequence, cpu: number(cpu), memory: number(used / total) });
    this.samples.set(event.node, list.slice(-SAMPLES));
  }

  render() {
    const nodes = [...this.nodes.values()].sort((one, other) =>
      (one.status === "left") - (other.status === "left") || (one.name < other.name ? -1 : 1));
    const tools = nodes.flatMap((node) => node.tools.filter(({ state }) => state !== "removed").map((tool) => ({ ...tool, node: node.name })))
      .sort((one, other) => STATES[one.state] - STATES[other.state] || (one.name < other.name ? -1 : 1));
    this.renderCards(nodes);
    this.renderTools(tools);
    this.renderSummary(nodes, tools);
  }

  renderSummary(nodes, tools) {
    const count = (list, test) => list.filter(test).length;
    const crashed = count(tools, ({ state }) => state === "crashed");
    const bad = count(nodes, ({ status }) => status === "degraded" || status === "unreachable");
    text($("nodes-count"), nodes.length ? `${count(nodes, ({ status }) => status === "online")} of ${nodes.length} online` : "");
    text($("tools-count"), tools.length ? `${count(tools, ({ state }) => state === "running")} of ${tools.length} running` : "");
    $("summary").replaceChildren(...[
      bad > 0 && el("span", { "data-status": "degraded" }, `${bad} ${bad === 1 ? "node" : "nodes"} in trouble`),
      crashed > 0 && el("span", { "data-status": "crashed" }, `${crashed} ${crashed === 1 ? "tool" : "tools"} crashed`),
    ].filter(Boolean));
  }

  // Nodes

  renderCards(nodes) {
    const list = $("nodes");
    const names = new Set(nodes.map(({ name }) => name));
    for (const [name, card] of this.cards) if (!names.has(name)) { card.root.remove(); this.cards.delete(name); }
    list.querySelector(".empty")?.remove();
    if (!nodes.length && this.isKnown) {
      list.append(el("li", { class: "empty" }, el("p", {}, "No node has joined yet. Start one:"), el("code", {}, "mesh-events serve")));
    }
    nodes.forEach((node, index) => {
      let card = this.cards.get(node.name);
      if (!card) this.cards.set(node.name, card = this.makeCard(node.name));
      if (list.children[index] !== card.root) list.insertBefore(card.root, list.children[index] ?? null);
      this.fillCard(card, node);
    });
  }

  makeCard(name) {
    const seen = el("time"), status = el("span", { class: "state" }), facts = el("div", { class: "gauges" }), note = el("p", { class: "note" });
    const button = el("button", { type: "button", class: "name", title: "Only events of this node" }, name);
    button.addEventListener("click", () => this.filters.change({ node: this.filters.node === name ? "" : name }));
    return { root: el("li", { class: "card" }, el("div", { class: "top" }, status, button, seen), facts, note), seen, status, facts, note, key: "" };
  }

  fillCard(card, node) {
    const seen = parse(node.last_seen);
    card.root.dataset.status = node.status;
    text(card.status, node.status);
    card.status.dataset.status = node.status;
    text(card.seen, ago(seen));
    card.seen.title = `Last heard of ${absolute(seen)}`;
    card.seen.dateTime = new Date(seen).toISOString();
    const samples = this.samples.get(node.name) ?? [];
    const key = `${samples.at(-1)?.sequence}/${JSON.stringify(node.resources)}/${node.status}`;
    if (card.key !== key) {
      card.key = key;
      card.facts.replaceChildren(...gauges(node.resources ?? {}, samples));
    }
    text(card.note, note(node));
    card.note.title = card.note.textContent;
  }

  // Tools

  renderTools(tools) {
    const body = $("tools");
    const empty = $("tools-empty");
    empty.hidden = tools.length > 0 || !this.isKnown;
    if (!empty.hidden && !empty.childNodes.length) {
      empty.append(el("p", {}, "No tools. A node runs those of its manifest:"), el("code", {}, "mesh-events serve --config mesh.yaml"));
    }
    body.closest("table").hidden = tools.length === 0;
    while (body.rows.length > tools.length) body.deleteRow(-1);
    while (body.rows.length < tools.length) body.append(makeToolRow());
    tools.forEach((tool, index) => fillToolRow(body.rows[index], tool));
  }
}

const number = (value) => typeof value === "number" && Number.isFinite(value) ? value : null;

function gauges(resources, samples) {
  const percent = (value) => `${Math.round(value * 100)} %`;
  const { cpu, mem_used_mb: used, mem_total_mb: total, disk_free_mb: disk } = resources;
  const parts = [];
  if (number(cpu) !== null) parts.push(gauge("cpu", percent(cpu), samples.map((sample) => sample.cpu)));
  if (number(disk) !== null) parts.push(el("span", { class: "gauge" }, el("i", {}, "disk"), el("b", {}, `${size(disk)} free`)));
  if (number(used) !== null && number(total)) {
    parts.push(gauge("mem", `${size(used)} of ${size(total)}`, samples.map((sample) => sample.memory)));
  }
  return parts;
}

const gauge = (name, value, values) => el("span", { class: "gauge" }, el("i", {}, name), sparkline(name, values), el("b", {}, value));

const size = (megabytes) => megabytes < 1024 ? `${megabytes} MB` : `${(megabytes / 1024).toFixed(megabytes < 10_240 ? 1 : 0)} GB`;

/** The parts of 1 over time. */
function sparkline(name, values) {
  const known = values.filter((value) => value !== null);
  const points = known.map((value, index) => {
    const x = known.length < 2 ? 60 : index / (known.length - 1) * 60;
    return `${x.toFixed(1)},${(15 - Math.max(0, Math.min(1, value)) * 14).toFixed(1)}`;
  });
  const picture = svg("svg", { viewBox: "0 0 60 16", class: "spark", role: "img", preserveAspectRatio: "none",
    "aria-label": `${name} over the last ${known.length} reports` });
  if (points.length > 1) {
    picture.append(svg("polygon", { points: `0,16 ${points.join(" ")} 60,16` }), svg("polyline", { points: points.join(" ") }));
  }
  return picture;
}

function note(node) {
  if (node.status === "left") return `Left: ${node.leave_reason || "it did not say why"}`;
  if (node.status === "unreachable") return `Not heard of for 3 of its intervals of ${Math.round(node.interval_s)} s`;
  const checks = Object.entries(node.checks ?? {});
  if (checks.length) return checks.map(([name, problem]) => `${name}: ${problem}`).join("; ");
  if (node.status === "degraded") return `It says: ${node.reported_status}`;
  const running = node.tools.filter(({ state }) => state === "running").length;
  const version = node.capabilities?.version;
  return [running ? `${running} ${running === 1 ? "tool runs" : "tools run"}` : "no tool runs", typeof version === "string" ? version : ""].filter(Boolean).join(" · ");
}

const LABELS = ["Tool", "Node", "Version", "State", "Restarts", "Last error", "Since"];

function makeToolRow() {
  return el("tr", {}, ...LABELS.map((label, index) => el(index ? "td" : "th",
    { "data-label": label, scope: index ? null : "row", class: label === "Restarts" ? "number" : null }, label === "State" ? el("span", { class: "state" }) : "")));
}

function fillToolRow(row, tool) {
  const [name, node, version, state, restarts, error, since] = row.cells;
  text(name, tool.name);
  text(node, tool.node);
  text(version, tool.version ?? "");
  text(state.firstChild, tool.state + (tool.uncertain ? "?" : ""));
  state.firstChild.dataset.status = tool.state;
  state.title = tool.uncertain ? "Its node is unreachable: this is what it last did" : tool.stop_reason ?? "";
  text(restarts, String(tool.restart_count));
  text(error, tool.last_error ?? "");
  error.title = tool.last_error ?? "";
  const time = tool.since ? parse(tool.since) : null;
  text(since, time ? ago(time) : "");
  since.title = time ? absolute(time) : "";
}
