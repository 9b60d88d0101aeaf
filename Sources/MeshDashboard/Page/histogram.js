// Events over time by type: what is counted, and when it is counted anew.

import { $, once, request, debounced } from "/dom.js";
import { Bars, describe } from "/bars.js";
import { MARKED } from "/colors.js";
import { aboutNode, encoded } from "/filters.js";
import { renderLegend, renderRanges } from "/legend.js";
import { Selection } from "/selection.js";
import { everySecond, now, parse } from "/times.js";

/** How long a bar can be, in seconds. */
const WIDTHS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const REFRESH = 5_000;
/** So many events that have just come are held until the server has counted them; the oldest are let go. */
const MAXIMUM_RECENT = 20_000;

export class Histogram {
  /** `start` and `width` in milliseconds, `buckets`, `series` of `type`, `total` and `counts`, `marks`, and `through`. */
  data = null;
  /** What has come behind the sequence up to which the server has counted: an answer under way may lack it. */
  recent = [];
  /** Hears which types there are. */
  onTypes = () => {};
  /** Goes up with every question: answers to older ones are thrown away. */
  generation = 0;

  constructor(filters) {
    this.filters = filters;
    this.canvas = $("histogram");
    this.bars = new Bars(this.canvas);
    this.draw = once(() => this.render());
    this.selection = new Selection(this);
    this.reload = debounced(60, () => this.load());
    renderRanges(filters);
    new ResizeObserver(() => { this.draw(); this.reload(); }).observe(this.canvas);
    setInterval(() => { if (!document.hidden) this.load(); }, REFRESH);
    // What has come since then is counted, too.
    everySecond(() => this.legend());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.load(); });
    filters.addEventListener("change", () => { renderRanges(filters); this.recent = []; this.draw(); this.reload(); });
  }

  /** The stream is another one: its sequences say nothing about what was counted. */
  reset() {
    this.data = null;
    this.recent = [];
    this.load();
  }

  async load() {
    // Behind the wall there is nothing to draw.
    if (!this.canvas.clientWidth) return;
    const generation = this.generation += 1;
    const seconds = this.filters.rangeSeconds;
    const bars = Math.max(24, Math.min(120, Math.floor(this.canvas.clientWidth / 8)));
    const width = (WIDTHS.find((width) => seconds / width <= bars) ?? 3600) * 1000;
    const buckets = Math.ceil(seconds * 1000 / width);
    const until = (Math.floor(now() / width) + 1) * width;
    const query = this.filters.query({ withText: false, withTypes: false, withWhere: false });
    query.set("since", new Date(until - buckets * width).toISOString());
    query.set("until", new Date(until).toISOString());
    query.set("buckets", String(buckets));
    try {
      const data = await request(`/api/histogram?${encoded(query)}`);
      if (generation !== this.generation) return;
      this.data = { ...data, start: parse(data.start), width: data.width_ms };
      this.data.marks.forEach((mark) => { mark.time = parse(mark.time); });
      // An event reaches this page by the stream and in this answer, in either order: it is counted once.
      this.recent = this.recent.filter(({ event }) => event.sequence > this.data.through);
      for (const row of this.recent) this.count(row);
      this.legend();
      this.draw();
    } catch {
      // The next time; the connection says what is wrong.
    }
  }

  /** Counts an event that has just come. */
  add(row) {
    if (row.event.sequence <= this.data?.through) return;
    this.recent.push(row);
    if (this.recent.length > MAXIMUM_RECENT) this.recent.splice(0, MAXIMUM_RECENT / 2);
    if (this.data) this.count(row);
  }

  count({ event, time }) {
    const bucket = Math.floor((time - this.data.start) / this.data.width);
    if (bucket < 0) return;
    if (bucket >= this.data.buckets) return this.reload();
    let series = this.data.series.find(({ type }) => type === event.type);
    if (!series) {
      series = { type: event.type, total: 0, counts: Array(this.data.buckets).fill(0) };
      this.data.series.push(series);
      this.reload();
    }
    series.counts[bucket] += 1;
    series.total += 1;
    if (MARKED.includes(event.type)) {
      this.data.marks.push({ sequence: event.sequence, time, type: event.type, node: aboutNode(event) });
    }
    this.draw();
  }

  isShown(type) { return this.filters.types.length === 0 || this.filters.types.includes(type); }

  /** When a bar begins. */
  timeAt(index) { return this.data.start + index * this.data.width; }

  render() {
    const data = this.data && {
      ...this.data,
      series: this.data.series.filter(({ type }) => this.isShown(type)),
      marks: this.data.marks.filter(({ type }) => this.isShown(type)),
    };
    this.bars.render(data, this.selection.hover);
    if (!data) return;
    this.selection.renderBrush();
    this.canvas.setAttribute("aria-label", describe(data, this.filters.range));
  }

  /** The colors are others: light has become dark. */
  recolor() {
    this.bars.colors.clear();
    this.draw();
  }

  legend() {
    if (!this.data) return;
    renderLegend(this.data, this.filters);
    this.onTypes(this.data.series.map(({ type }) => type));
  }
}
