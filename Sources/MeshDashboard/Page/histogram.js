// Events over time by type: bars to see, to brush, and to press.

import { $, el, text, once, request, debounced } from "/dom.js";
import { encoded, RANGES } from "/filters.js";
import { clock, now, parse } from "/times.js";
import { colorName, colorValue } from "/colors.js";

/** How long a bar can be, in seconds. */
const WIDTHS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const MAXIMUM_TYPES = 9;
const REFRESH = 5_000;
const MARGIN = { top: 14, bottom: 16 };

export class Histogram {
  data = null;
  hover = null;
  /** Where a selection began, and where it is. */
  drag = null;
  colors = new Map();
  /** Hears which types there are. */
  onTypes = () => {};

  constructor(filters) {
    this.filters = filters;
    this.canvas = $("histogram");
    this.draw = once(() => this.render());
    this.reload = debounced(60, () => this.load());
    this.ranges();
    this.pointer();
    new ResizeObserver(() => { this.draw(); this.reload(); }).observe(this.canvas);
    setInterval(() => { if (!document.hidden) this.load(); }, REFRESH);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.load(); });
    filters.addEventListener("change", () => { this.ranges(); this.draw(); this.reload(); });
  }

  // Data

  async load() {
    const seconds = this.filters.rangeSeconds;
    const bars = Math.max(24, Math.min(120, Math.floor(this.canvas.clientWidth / 8)));
    const width = (WIDTHS.find((width) => seconds / width <= bars) ?? 3600) * 1000;
    const buckets = Math.ceil(seconds * 1000 / width);
    const until = (Math.floor(now() / width) + 1) * width;
    const query = this.filters.query({ withText: false, withTypes: false });
    query.set("since", new Date(until - buckets * width).toISOString());
    query.set("until", new Date(until).toISOString());
    query.set("buckets", String(buckets));
    try {
      const data = await request(`/api/histogram?${encoded(query)}`);
      this.data = { ...data, start: parse(data.start), width: data.width_ms };
      this.data.marks.forEach((mark) => { mark.time = parse(mark.time); });
      this.legend();
      this.draw();
    } catch {
      // The next time; the connection says what is wrong.
    }
  }

  /** Counts an event that has just come. */
  add({ event, time }) {
    if (!this.data) return;
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
    if (event.type === "tool.crashed" || event.type === "node.left") {
      this.data.marks.push({ sequence: event.sequence, time, type: event.type, node: event.node });
    }
    this.draw();
  }

  isShown(type) { return this.filters.types.length === 0 || this.filters.types.includes(type); }

  // Picture

  render() {
    const { canvas, data } = this;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    const scale = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!data) return;
    const floor = height - MARGIN.bottom, step = width / data.buckets;
    const shown = data.series.filter(({ type }) => this.isShown(type));
    const totals = Array.from({ length: data.buckets }, (_, index) => shown.reduce((sum, { counts }) => sum + counts[index], 0));
    const highest = Math.max(1, ...totals);
    this.axis(context, width, height, floor);
    const gap = step > 4 ? 1.5 : 0.5;
    // What matters most lies at the bottom, where it is seen.
    const order = [...shown].sort((one, other) => rank(one.type) - rank(other.type));
    for (let index = 0; index < data.buckets; index += 1) {
      let y = floor;
      for (const { type, counts } of order) {
        if (!counts[index]) continue;
        const bar = Math.max(1.5, counts[index] / highest * (floor - MARGIN.top));
        context.fillStyle = this.color(type);
        context.fillRect(index * step, y - bar, Math.max(1, step - gap), bar);
        y -= bar;
      }
      if (this.hover === index) {
        context.fillStyle = this.color("hover");
        context.fillRect(index * step, MARGIN.top, step, floor - MARGIN.top);
      }
    }
    for (const mark of data.marks) if (this.isShown(mark.type)) this.mark(context, mark);
    this.brush(width);
    canvas.setAttribute("aria-label", this.description(shown, totals));
  }

  axis(context, width, height, floor) {
    context.fillStyle = this.color("axis");
    context.fillRect(0, floor, width, 1);
    context.font = "10.5px ui-monospace, monospace";
    context.fillStyle = this.color("label");
    const { start, buckets } = this.data, span = buckets * this.data.width;
    const count = Math.max(2, Math.min(8, Math.floor(width / 130)));
    context.textBaseline = "alphabetic";
    for (let index = 0; index <= count; index += 1) {
      context.textAlign = index === 0 ? "left" : index === count ? "right" : "center";
      context.fillText(clock(start + span * index / count, false), width * index / count, height - 3);
    }
  }

  /** A triangle for a crash, a diamond for a node that left, above the bars. */
  mark(context, { time, type }) {
    const x = (time - this.data.start) / (this.data.width * this.data.buckets) * this.canvas.clientWidth;
    context.fillStyle = this.color(type);
    context.beginPath();
    if (type === "tool.crashed") { context.moveTo(x - 4, 3); context.lineTo(x + 4, 3); context.lineTo(x, 10); }
    else { context.moveTo(x, 2); context.lineTo(x + 4, 6.5); context.lineTo(x, 11); context.lineTo(x - 4, 6.5); }
    context.fill();
  }

  brush() {
    const element = $("brush");
    const range = this.drag ? [this.timeAt(Math.min(...this.drag)), this.timeAt(Math.max(...this.drag))]
      : this.filters.isBounded ? [this.filters.since, this.filters.until] : null;
    const span = this.data.buckets * this.data.width;
    const at = (time) => Math.max(0, Math.min(1, (time - this.data.start) / span));
    element.hidden = !range || at(range[0]) === at(range[1]);
    if (element.hidden) return;
    element.style.left = `${at(range[0]) * 100}%`;
    element.style.width = `${(at(range[1]) - at(range[0])) * 100}%`;
  }

  description(shown, totals) {
    const total = totals.reduce((sum, count) => sum + count, 0);
    const types = shown.slice(0, 4).map(({ type, total }) => `${total} ${type}`).join(", ");
    const marks = this.data.marks.length;
    return `${total} events in the last ${this.filters.range}${types ? `: ${types}` : ""}${marks ? `; ${marks} crashes and leaves` : ""}`;
  }

  color(type) {
    if (!this.colors.has(type)) {
      const name = { hover: "hover", axis: "axis", label: "label" }[type] ?? colorName(type);
      this.colors.set(type, colorValue(name));
    }
    return this.colors.get(type);
  }

  /** The colors are others: light has become dark. */
  recolor() {
    this.colors.clear();
    this.draw();
  }

  // Pointer and keyboard

  pointer() {
    const { canvas } = this;
    const index = (event) => {
      const { left, width } = canvas.getBoundingClientRect();
      return Math.max(0, Math.min(this.data.buckets - 1, Math.floor((event.clientX - left) / width * this.data.buckets)));
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.data || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.drag = [index(event), index(event)];
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.data) return;
      this.hover = index(event);
      if (this.drag) this.drag = [this.drag[0], this.hover];
      this.tip();
      this.draw();
    });
    canvas.addEventListener("pointerleave", () => { this.hover = null; this.tip(); this.draw(); });
    canvas.addEventListener("pointercancel", () => { this.drag = null; this.draw(); });
    canvas.addEventListener("pointerup", () => this.select());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { this.hover = null; this.tip(); this.draw(); });
  }

  select() {
    if (!this.drag) return;
    const [from, to] = [Math.min(...this.drag), Math.max(...this.drag)];
    this.drag = null;
    // The bar itself belongs to it; the server counts its last millisecond too.
    this.filters.change({ since: this.timeAt(from), until: this.timeAt(to + 1) - 1 });
  }

  timeAt(index) { return this.data.start + index * this.data.width; }

  key(event) {
    if (!this.data || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return;
    event.preventDefault();
    const step = event.key === "ArrowLeft" ? -1 : 1;
    const before = this.hover ?? this.data.buckets - 1;
    this.hover = Math.max(0, Math.min(this.data.buckets - 1, before + step));
    if (event.shiftKey) {
      this.anchor ??= before;
      this.drag = [this.anchor, this.hover];
      this.select();
    } else {
      this.anchor = null;
    }
    this.tip();
    text($("histogram-live"), $("tip").textContent);
    this.draw();
  }

  tip() {
    const tip = $("tip");
    tip.hidden = this.hover === null;
    if (tip.hidden) return;
    const rows = this.data.series.filter(({ type, counts }) => this.isShown(type) && counts[this.hover]).slice(0, 8);
    tip.replaceChildren(el("b", {}, `${clock(this.timeAt(this.hover), false)} `),
      ...rows.map(({ type, counts }) => el("span", { "data-color": colorName(type) },
        el("i", { class: "swatch" }), `${type} `, el("b", {}, `${counts[this.hover]} `))),
      ...(rows.length ? [] : ["no events"]));
    const share = (this.hover + 0.5) / this.data.buckets;
    tip.style.left = `${share * 100}%`;
    tip.dataset.side = share > 0.6 ? "left" : "right";
  }

  // What stands around it

  legend() {
    if (!this.data) return;
    const totals = this.data.series.slice(0, MAXIMUM_TYPES);
    const extra = this.data.series.slice(MAXIMUM_TYPES);
    const buttons = totals.map(({ type, total }) => el("button", {
      type: "button", "data-type": type, "data-color": colorName(type), "aria-pressed": String(this.filters.types.includes(type)),
      class: this.isShown(type) ? null : "off", onclick: () => this.filters.toggleType(type),
    }, el("i", { class: "swatch", "aria-hidden": "true" }), type, el("b", {}, total.toLocaleString("en"))));
    const rest = extra.reduce((sum, { total }) => sum + total, 0);
    const scale = el("span", { class: "rest" }, `a bar is ${label(this.data.width)}`);
    this.onTypes(this.data.series.map(({ type }) => type));
    // A button that somebody is about to press is not taken away.
    if ($("legend").contains(document.activeElement) || $("legend").matches(":active")) {
      const old = [...$("legend").querySelectorAll("button")];
      const fits = old.length === buttons.length && old.every((button, index) => button.dataset.type === buttons[index].dataset.type);
      if (fits) return old.forEach((button, index) => copy(buttons[index], button));
    }
    if (extra.length) scale.prepend(`${extra.length} more types with ${rest} events; `);
    $("legend").replaceChildren(...buttons, scale);
  }

  ranges() {
    $("ranges").replaceChildren(...RANGES.map(([name]) => el("button", {
      type: "button", role: "radio", "aria-checked": String(this.filters.range === name),
      onclick: () => this.filters.change({ range: name }),
    }, name)));
  }
}

function copy(from, to) {
  to.className = from.className;
  to.setAttribute("aria-pressed", from.getAttribute("aria-pressed"));
  text(to.lastChild, from.lastChild.textContent);
}

const rank = (type) => ["tool.crashed", "node.left"].indexOf(type) >= 0 ? 0 : type === "node.health" ? 2 : 1;

const label = (milliseconds) => milliseconds < 60_000 ? `${milliseconds / 1000} s` : milliseconds < 3_600_000
  ? `${milliseconds / 60_000} min` : `${milliseconds / 3_600_000} h`;
