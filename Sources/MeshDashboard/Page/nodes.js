// The mesh as it is: what is known of it, for the cards of nodes and the table of tools.

import { $, el, text, once, request } from "/dom.js";
import { Cards } from "/cards.js";
import { isInMaintenance, isUnhealthy, sortedNodes, sortedTools } from "/trouble.js";
import { renderTools } from "/tools.js";
import { ToolSamples } from "/usage.js";
import { clock, everySecond, parse } from "/times.js";

/** How many health events a sparkline shows. */
const SAMPLES = 60;
/** Of so many nodes at most. */
const MAXIMUM_SAMPLED = 500;
/** What is shown may be so old, in milliseconds, before the page says so. */
const MAXIMUM_LAG = 5_000;
/** So many nodes are known at most; what is beyond is counted. */
const MAXIMUM_NODES = 5000;
const NOTHING = { nodes: 0, tools: 0 };

export class Nodes {
  nodes = new Map();
  /** What each node said of itself, oldest first, as parts of 1. */
  samples = new Map();
  /** The reports that came without their data, because it is long: the node's sequence. */
  unread = new Map();
  /** What tools used. */
  toolSamples = new ToolSamples();
  /** What the stream has said of nodes since the mesh was asked for; null when no answer is awaited. */
  updated = null;
  /** Goes up when the stream is another one: answers about the former one are thrown away. */
  generation = 0;
  isKnown = false;
  /** What the server has not sent, or has no place here. */
  leftOut = { ...NOTHING };
  /** The server's counts, when something is left out. */
  summary = null;
  /** The time as of which the mesh is shown, when that is some time ago; null when it is not. */
  asOf = null;
  /** Whether something else is shown in place of the nodes, as the wall is. */
  isCovered = false;
  hasSamples = false;

  constructor(filters) {
    this.cards = new Cards(filters);
    this.draw = once(() => this.render());
    everySecond(this.draw);
  }

  /** The whole mesh. */
  set(mesh) {
    this.isKnown = true;
    this.nodes = new Map(mesh.nodes.map((node) => [node.name, node]));
    this.toolSamples.keep(this.nodes);
    for (const node of mesh.nodes) this.toolSamples.add(node);
    this.leftOut = { ...NOTHING, ...mesh.left_out };
    this.summary = this.leftOut.nodes || this.leftOut.tools ? mesh.summary : null;
    this.draw();
  }

  /** Up to this time all that is known of the mesh has been told; `time` is what time it was when that was said. */
  toldUntil(until, time) {
    this.asOf = parse(time) - parse(until) > MAXIMUM_LAG ? parse(until) : null;
    this.draw();
  }

  /** Asks for the whole mesh; what the stream says of a node meanwhile stays, for the answer may be older. */
  async refresh() {
    const updated = this.updated = new Map();
    const mesh = await request("/api/mesh").catch(() => null);
    if (updated !== this.updated) return;
    this.updated = null;
    if (!mesh) return;
    this.set(mesh);
    for (const node of updated.values()) this.update(node);
  }

  /** The stream is another one, or there is none any more: what is known is the former one's. */
  reset({ isKept }) {
    this.generation += 1;
    this.samples = new Map();
    this.unread = new Map();
    this.toolSamples = new ToolSamples();
    this.hasSamples = false;
    if (isKept) this.needSamples();
    this.refresh();
  }

  /** Looks up what nodes said before, unless that was done. */
  needSamples() {
    if (this.hasSamples) return;
    this.hasSamples = true;
    this.loadSamples();
  }

  /** One node, as it is now. */
  update(node) {
    this.updated?.set(node.name, node);
    if (this.nodes.has(node.name) || this.nodes.size < MAXIMUM_NODES && !this.leftOut.nodes) this.nodes.set(node.name, node);
    if (this.nodes.has(node.name)) this.toolSamples.add(node);
    const sequence = this.unread.get(node.name);
    if (sequence !== undefined) {
      this.unread.delete(node.name);
      this.append(node.name, [sample(sequence, node.resources)]);
    }
    this.draw();
  }

  /** Looks up what nodes said before, for the sparklines. */
  async loadSamples() {
    const { generation } = this;
    try {
      const page = await request("/api/events?type=node.health&limit=1000");
      if (generation !== this.generation) return;
      const come = this.samples;
      this.samples = new Map();
      for (const event of page.events) this.sample(event);
      for (const [node, list] of come) this.append(node, list);
      this.draw();
    } catch {
      // They fill with what comes.
    }
  }

  sample(event) {
    if (event.type !== "node.health") return;
    if (event.data_bytes && this.nodes.has(event.node)) this.unread.set(event.node, event.sequence);
    if (event.data?.resources) this.append(event.node, [sample(event.sequence, event.data.resources)]);
  }

  /** Adds those of the samples that are newer than what is known of the node. */
  append(node, samples) {
    const list = this.samples.get(node) ?? [];
    const newest = list.at(-1)?.sequence ?? 0;
    const newer = samples.filter(({ sequence }) => sequence > newest);
    if (!newer.length || !list.length && this.samples.size >= MAXIMUM_SAMPLED) return;
    this.samples.set(node, [...list, ...newer].slice(-SAMPLES));
  }

  render() {
    if (this.isCovered) return;
    const nodes = sortedNodes([...this.nodes.values()]);
    const tools = sortedTools(nodes);
    this.cards.render(nodes, this.samples, this.isKnown, this.leftOut.nodes);
    renderTools(tools, this.isKnown, this.leftOut.tools, this.toolSamples);
    this.renderSummary(tools);
  }

  /** How many there are, and how they are: the server's counts when it has not sent all. */
  totals() { return this.summary ?? this.counted(); }

  counted() {
    // What is in maintenance is in no trouble.
    const totals = { nodes: this.nodes.size, online: 0, degraded: 0, unreachable: 0, tools: 0, running: 0, failed: 0, backing_off: 0 };
    for (const node of this.nodes.values()) {
      const isExpected = isInMaintenance(node);
      if (node.status === "online") totals.online += 1;
      else if (!isExpected && (node.status === "degraded" || node.status === "unreachable")) totals[node.status] += 1;
      for (const { state, uncertain } of node.tools) {
        if (state === "removed") continue;
        totals.tools += 1;
        if (state === "running") totals.running += 1;
        else if (!isExpected && !uncertain && (state === "failed" || state === "backing_off")) totals[state] += 1;
      }
    }
    return totals;
  }

  /** How many are in trouble that the server has not sent. */
  unseenTroubles() {
    const troubles = ({ degraded, unreachable, failed, backing_off: backingOff }) => degraded + unreachable + failed + backingOff;
    return this.summary ? Math.max(0, troubles(this.summary) - troubles(this.counted())) : 0;
  }

  renderSummary(tools) {
    const all = this.totals();
    const unhealthy = tools.filter((tool) => isUnhealthy(tool) && !tool.uncertain && !isInMaintenance(this.nodes.get(tool.node))).length;
    const bad = all.degraded + all.unreachable, { failed, backing_off: backingOff } = all;
    text($("nodes-count"), all.nodes ? `${all.online} of ${all.nodes} online` : "");
    $("as-of").hidden = this.asOf === null;
    if (this.asOf !== null) text($("as-of"), `as of ${clock(this.asOf, false)}`);
    text($("tools-count"), all.tools ? `${all.running} of ${all.tools} running` : "");
    $("summary").replaceChildren(...[
      bad > 0 && el("span", { "data-status": "degraded" }, `${bad} ${bad === 1 ? "node" : "nodes"} in trouble`),
      failed > 0 && el("span", { "data-status": "failed" }, `${failed} ${failed === 1 ? "tool" : "tools"} failed`),
      unhealthy > 0 && el("span", { "data-status": "unhealthy" }, `${unhealthy} ${unhealthy === 1 ? "tool" : "tools"} unhealthy`),
      backingOff > 0 && el("span", { "data-status": "backing_off" }, `${backingOff} ${backingOff === 1 ? "tool" : "tools"} backing off`),
    ].filter(Boolean));
  }
}

/** What a report says of its node. */
const sample = (sequence, resources) => {
  const { cpu, mem_used_mb: used, mem_total_mb: total } = resources ?? {};
  return { sequence, cpu: part(cpu, 1), memory: part(used, total) };
};

const part = (value, whole) => Number.isFinite(value) && Number.isFinite(whole) && whole > 0 ? value / whole : null;
