// The picture of the histogram.

import { colorName, colorValue, MARKED } from "/colors.js";
import { clock } from "/times.js";

const MARGIN = { top: 14, bottom: 18 };
/** How far apart the times below can be, in seconds. */
const TICKS = [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600];
/** So wide is a time, in pixels, with some room. */
const TICK_ROOM = 110;
const FONT = "10.5px ui-monospace, 'DejaVu Sans Mono', monospace";

export class Bars {
  /** What the colors look like now, by name. */
  colors = new Map();

  constructor(canvas) { this.canvas = canvas; }

  /** Draws the bars, and one of them as what the pointer is on. */
  render(data, hover) {
    const { canvas } = this;
    const width = canvas.clientWidth, height = canvas.clientHeight, scale = devicePixelRatio || 1;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!data) return;
    const floor = height - MARGIN.bottom, step = width / data.buckets;
    const highest = Math.max(0, ...totals(data));
    this.axis(context, data, width, floor);
    const gap = step > 4 ? 1.5 : 0.5;
    // What matters most lies at the bottom, where it is seen.
    const order = [...data.series].sort((one, other) => rank(one.type) - rank(other.type));
    for (let index = 0; index < data.buckets; index += 1) {
      let y = floor;
      for (const { type, counts } of order) {
        if (!counts[index]) continue;
        const bar = Math.max(1.5, counts[index] / highest * (floor - MARGIN.top));
        context.fillStyle = this.color(colorName(type));
        context.fillRect(index * step, y - bar, Math.max(1, step - gap), bar);
        y -= bar;
      }
      if (hover === index) {
        context.fillStyle = this.color("hover");
        context.fillRect(index * step, MARGIN.top, step, floor - MARGIN.top);
      }
    }
    if (highest) this.scale(context, highest);
    for (const { time, type } of data.marks) this.mark(context, (time - data.start) / span(data) * width, type);
  }

  /** The line below, and round times of the day. */
  axis(context, data, width, floor) {
    context.fillStyle = this.color("axis");
    context.fillRect(0, floor, width, 1);
    context.font = FONT;
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    const seconds = span(data) / 1000;
    const tick = (TICKS.find((tick) => seconds / tick * TICK_ROOM <= width) ?? TICKS.at(-1)) * 1000;
    const shift = new Date(data.start).getTimezoneOffset() * 60_000;
    const edge = (tick < 60_000 ? 8 : 5) * 3.3;
    for (let time = Math.ceil((data.start - shift) / tick) * tick + shift; time < data.start + span(data); time += tick) {
      const x = (time - data.start) / span(data) * width;
      context.fillStyle = this.color("axis");
      context.fillRect(Math.round(x), floor, 1, 4);
      if (x < edge || x > width - edge) continue;
      context.fillStyle = this.color("label");
      context.fillText(clock(time, false).slice(0, tick < 60_000 ? 8 : 5), x, floor + 15);
    }
  }

  /** How many events the highest bar is. */
  scale(context, highest) {
    const label = highest.toLocaleString("en");
    context.textAlign = "left";
    context.fillStyle = this.color("panel");
    context.fillRect(0, MARGIN.top - 1, label.length * 6.6 + 5, 13);
    context.fillStyle = this.color("label");
    context.fillText(label, 0, MARGIN.top + 9);
  }

  /** A triangle for a crash, a square for an unreachable node, a circle for one that recovered, a diamond for one that left. */
  mark(context, x, type) {
    context.fillStyle = this.color(colorName(type));
    context.beginPath();
    if (type === "tool.crashed") { context.moveTo(x - 4.5, 2); context.lineTo(x + 4.5, 2); context.lineTo(x, 10); }
    else if (type === "node.unreachable") context.rect(x - 4, 2, 8, 8);
    else if (type === "node.recovered") context.arc(x, 6, 4, 0, 2 * Math.PI);
    else { context.moveTo(x, 1.5); context.lineTo(x + 4.5, 6); context.lineTo(x, 10.5); context.lineTo(x - 4.5, 6); }
    context.fill();
  }

  color(name) {
    if (!this.colors.has(name)) this.colors.set(name, colorValue(name));
    return this.colors.get(name);
  }
}

/** The picture in words. */
export function describe(data, range) {
  const count = (number, one, many) => number ? `${number} ${number === 1 ? one : many}` : null;
  const total = totals(data).reduce((sum, count) => sum + count, 0);
  const types = data.series.slice(0, 4).map(({ type, total }) => `${total} ${type}`).join(", ");
  const marked = (wanted) => data.marks.filter(({ type }) => type === wanted).length;
  const marks = [
    count(marked("tool.crashed"), "crash", "crashes"), count(marked("node.left"), "leave", "leaves"),
    count(marked("node.unreachable"), "node unreachable", "nodes unreachable"), count(marked("node.recovered"), "node recovered", "nodes recovered"),
  ].filter(Boolean);
  return `${count(total, "event", "events") ?? "0 events"} in the last ${range}${types && `: ${types}`}${marks.length ? `; ${marks.join(", ")}` : ""}`;
}

const span = (data) => data.buckets * data.width;

const totals = (data) => Array.from({ length: data.buckets }, (_, index) => data.series.reduce((sum, { counts }) => sum + counts[index], 0));

const rank = (type) => MARKED.includes(type) ? 0 : type === "node.health" ? 2 : 1;
