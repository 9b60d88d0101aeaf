// What tools use: the last cell of their rows.

import { el, title } from "/dom.js";
import { size, sparkline } from "/cards.js";

/** How many reports a sparkline shows, and of how many tools at most. */
const SAMPLES = 60;
const MAXIMUM_TOOLS = 1000;
/** A tool that uses less of a processor than this does not fill its sparkline. */
const SMALLEST = 0.05;

const isFigure = (value) => Number.isFinite(value) && value >= 0;

/** What tools used in the reports that the page has seen. */
export class ToolSamples {
  /** By node: when it was last heard of, and by tool the shares of processors, oldest first. */
  nodes = new Map();
  count = 0;

  /** Takes in a node as it is now. */
  add({ name, last_seen: seen, tools }) {
    const before = this.nodes.get(name);
    if (before?.seen === seen) return;
    const samples = new Map();
    this.count -= before?.samples.size ?? 0;
    for (const tool of tools) {
      const list = before?.samples.get(tool.name) ?? [];
      if (!isFigure(tool.usage?.cpu) || this.count + samples.size >= MAXIMUM_TOOLS) continue;
      samples.set(tool.name, [...list, tool.usage.cpu].slice(-SAMPLES));
    }
    this.count += samples.size;
    this.nodes.set(name, { seen, samples });
  }

  /** Forgets all nodes but these. */
  keep(names) {
    for (const [name, { samples }] of this.nodes) {
      if (!names.has(name)) { this.nodes.delete(name); this.count -= samples.size; }
    }
  }

  of(tool) { return this.nodes.get(tool.node)?.samples.get(tool.name) ?? []; }
}

const percent = (cpu) => `${Math.round(cpu * 100)} %`;

function shares(gpus) {
  return (gpus ?? []).map(({ index, memory_mb: memory }) => {
    const gpu = index === undefined ? "a GPU" : `GPU ${index}`;
    return memory === undefined ? `uses ${gpu}` : `${size(memory)} on ${gpu}`;
  });
}

/** All that is known, in words. */
function details({ cpu, memory_mb: memory, processes, threads, files, read_mb: read, written_mb: written, gpus }) {
  const count = (number, one, many) => number !== undefined && `${number} ${number === 1 ? one : many}`;
  return [
    cpu !== undefined && `${percent(cpu)} of a processor`, memory !== undefined && `${size(memory)} of memory`,
    count(processes, "process", "processes"), count(threads, "thread", "threads"), count(files, "open file", "open files"),
    read !== undefined && `${size(read)} read`, written !== undefined && `${size(written)} written`, ...shares(gpus),
  ].filter(Boolean).join(", ");
}

/** Fills the cell of a tool. */
export function fillUsage(cell, { usage }, samples) {
  const key = usage ? `${JSON.stringify(usage)}/${samples.length}/${samples.at(-1)}` : "";
  if (cell.dataset.key === key) return;
  cell.dataset.key = key;
  if (!usage) {
    cell.replaceChildren();
    return title(cell, "");
  }
  const largest = Math.max(SMALLEST, ...samples);
  const { cpu, memory_mb: memory } = usage;
  cell.replaceChildren(...[
    samples.length > 1 && sparkline("processor time", samples.map((sample) => sample / largest)),
    cpu !== undefined && el("b", {}, percent(cpu)),
    memory !== undefined && el("span", {}, size(memory)),
    ...shares(usage.gpus).map((share) => el("span", { class: "gpu" }, share)),
  ].filter(Boolean).flatMap((part) => [part, " "]));
  title(cell, details(usage));
}
