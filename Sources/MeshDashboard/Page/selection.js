// What the pointer and the keyboard do on the histogram: look at a bar, select a time.

import { $, el, text } from "/dom.js";
import { colorName } from "/colors.js";
import { clock } from "/times.js";

const MAXIMUM_LINES = 8;

export class Selection {
  /** The bar that is looked at. */
  hover = null;
  /** The bar where a selection began, and the one where it is. */
  drag = null;
  /** Where the keyboard's selection began. */
  anchor = null;

  constructor(histogram) {
    this.histogram = histogram;
    const { canvas } = histogram;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.data || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.drag = [this.index(event), this.index(event)];
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.data) return;
      const index = this.index(event);
      if (this.drag) this.drag = [this.drag[0], index];
      this.look(index);
    });
    canvas.addEventListener("pointerup", () => this.select());
    canvas.addEventListener("pointercancel", () => { this.drag = null; this.look(null); });
    canvas.addEventListener("pointerleave", () => this.look(null));
    canvas.addEventListener("blur", () => this.look(null));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  get data() { return this.histogram.data; }

  index(event) {
    const { left, width } = this.histogram.canvas.getBoundingClientRect();
    return Math.max(0, Math.min(this.data.buckets - 1, Math.floor((event.clientX - left) / width * this.data.buckets)));
  }

  look(index) {
    this.hover = index;
    this.renderTip();
    this.histogram.draw();
  }

  /** Shows only the events of the bars that were drawn over. */
  select() {
    if (!this.drag) return;
    const [from, to] = [Math.min(...this.drag), Math.max(...this.drag)];
    this.drag = null;
    // The bar itself belongs to it; the server counts its last millisecond too.
    this.histogram.filters.change({ since: this.histogram.timeAt(from), until: this.histogram.timeAt(to + 1) - 1 });
  }

  key(event) {
    if (!this.data || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return;
    event.preventDefault();
    const before = this.hover ?? this.data.buckets - 1;
    const index = Math.max(0, Math.min(this.data.buckets - 1, before + (event.key === "ArrowLeft" ? -1 : 1)));
    if (event.shiftKey) {
      this.anchor ??= before;
      this.drag = [this.anchor, index];
      this.select();
    } else {
      this.anchor = null;
    }
    this.look(index);
    text($("histogram-live"), $("tip").textContent);
  }

  renderBrush() {
    const { filters } = this.histogram;
    const element = $("brush");
    const range = this.drag ? [this.histogram.timeAt(Math.min(...this.drag)), this.histogram.timeAt(Math.max(...this.drag) + 1)]
      : filters.isBounded ? [filters.since, filters.until] : null;
    const span = this.data.buckets * this.data.width;
    const at = (time) => Math.max(0, Math.min(1, (time - this.data.start) / span));
    element.hidden = !range || at(range[0]) === at(range[1]);
    if (element.hidden) return;
    element.style.left = `${at(range[0]) * 100}%`;
    element.style.width = `${(at(range[1]) - at(range[0])) * 100}%`;
  }

  renderTip() {
    const tip = $("tip");
    tip.hidden = this.hover === null;
    if (tip.hidden) return;
    const { histogram, hover } = this;
    const rows = this.data.series.filter(({ type, counts }) => histogram.isShown(type) && counts[hover]);
    tip.replaceChildren(el("b", {}, `${clock(histogram.timeAt(hover), false)} `),
      ...rows.slice(0, MAXIMUM_LINES).map(({ type, counts }) => el("span", { "data-color": colorName(type) },
        el("i", { class: "swatch" }), el("span", { class: "type" }, type), " ", el("b", {}, `${counts[hover]} `))),
      rows.length === 0 ? "no events" : rows.length > MAXIMUM_LINES ? `and ${rows.length - MAXIMUM_LINES} more types` : "");
    const share = (hover + 0.5) / this.data.buckets;
    tip.style.left = `${share * 100}%`;
    tip.dataset.side = share > 0.6 ? "left" : "right";
  }
}
