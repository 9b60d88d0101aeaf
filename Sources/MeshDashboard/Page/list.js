// The list of events: only the rows that are seen are elements, however many there are.

import { $, el, text, title, once } from "/dom.js";
import { mark, signed } from "/signatures.js";
import { summary } from "/summary.js";
import { absolute, ago, age, clock, everySecond } from "/times.js";
import { eventColor } from "/colors.js";

const OVERSCAN = 8;
/** So near to the end, in pixels, older events are loaded. */
const AHEAD = 800;
/** So long after the pointer has moved, in milliseconds, rows stay under it. */
const HOLD = 1500;

export class List extends EventTarget {
  /** The rows as elements, used again and again. */
  pool = [];
  /** The sequence of the row that the keyboard is on. */
  active = null;
  /** How many rows there were in the last picture, and the newest of them. */
  drawn = { count: 0, newest: null };
  unseen = 0;
  /** Until when the user is about to press a row. */
  heldUntil = 0;
  /** Whether only that keeps the list from its top. */
  isHeld = false;

  constructor(events, filters) {
    super();
    this.events = events;
    this.filters = filters;
    this.element = $("list");
    this.spacer = $("spacer");
    this.draw = once(() => this.render());
    this.narrow = matchMedia("(max-width: 700px)");
    this.narrow.addEventListener("change", this.draw);
    for (const name of ["added", "loaded", "loading", "cleared"]) events.addEventListener(name, this.draw);
    events.addEventListener("cleared", () => { this.element.scrollTop = 0; this.drawn = { count: 0, newest: null }; });
    this.element.addEventListener("scroll", this.draw, { passive: true });
    new ResizeObserver(this.draw).observe(this.element);
    this.element.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") this.heldUntil = performance.now() + HOLD;
    }, { passive: true });
    this.element.addEventListener("pointerleave", () => { this.heldUntil = 0; this.draw(); });
    for (const name of ["wheel", "touchmove", "keydown"]) this.element.addEventListener(name, () => { this.isHeld = false; }, { passive: true });
    $("newer").addEventListener("click", () => this.toNewest());
    everySecond(this.draw);
  }

  get rowHeight() { return this.narrow.matches ? 52 : 30; }

  /** The row at a place counted from the newest. */
  row(index) { return this.events.rows[this.events.rows.length - 1 - index]; }

  indexOf(sequence) {
    const { rows } = this.events;
    let low = 0, high = rows.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (rows[middle].sequence === sequence) return rows.length - 1 - middle;
      if (rows[middle].sequence < sequence) low = middle + 1; else high = middle - 1;
    }
    return -1;
  }

  /** Numbers mean other events from now on. */
  forget() { this.active = null; }

  toNewest() {
    this.isHeld = false;
    this.element.scrollTop = 0;
    this.element.focus({ preventScroll: true });
  }

  render() {
    const height = this.rowHeight;
    const { rows } = this.events;
    const count = rows.length;
    this.keepPlace(count, height);
    this.spacer.style.height = `${count * height}px`;
    this.element.setAttribute("aria-rowcount", String(count));
    const first = Math.max(0, Math.floor(this.element.scrollTop / height) - OVERSCAN);
    const last = Math.min(count, Math.ceil((this.element.scrollTop + this.element.clientHeight) / height) + OVERSCAN);
    while (this.pool.length < last - first) this.pool.push(this.makeRow());
    const size = this.pool.length;
    // A row keeps its element while it is scrolled.
    for (let index = first; index < first + size; index += 1) {
      const element = this.pool[index % size];
      if (index < last) this.fill(element, this.row(index), index, height); else this.empty(element);
    }
    const active = this.active === null ? -1 : this.indexOf(this.active);
    if (active < 0) this.element.removeAttribute("aria-activedescendant");
    else this.element.setAttribute("aria-activedescendant", this.row(active).id);
    this.renderStatus();
    if (count * height - this.element.scrollTop - this.element.clientHeight < AHEAD && this.events.hasOlder
      && this.events.cursor !== undefined && !this.events.error) this.events.loadOlder();
  }

  /** New rows on top do not move the rows that the user reads further down, or is about to press. */
  keepPlace(count, height) {
    const isHolding = performance.now() < this.heldUntil;
    if (this.isHeld && !isHolding) {
      this.isHeld = false;
      this.element.scrollTop = 0;
    }
    const newest = count ? this.row(0).sequence : null;
    if (this.drawn.newest !== null && newest !== this.drawn.newest) {
      const index = this.indexOf(this.drawn.newest);
      if (index > 0 && (isHolding || this.element.scrollTop > 4)) {
        this.isHeld ||= this.element.scrollTop <= 4;
        this.spacer.style.height = `${count * height}px`;
        this.element.scrollTop += index * height;
        this.unseen += index;
      }
    }
    if (this.element.scrollTop <= 4) this.unseen = 0;
    this.drawn = { count, newest };
  }

  makeRow() {
    const cells = {
      time: el("span", { role: "gridcell", class: "time" }),
      type: el("span", { role: "gridcell", class: "type" }, el("i", { class: "swatch", "aria-hidden": "true" }), el("b")),
      node: el("span", { role: "gridcell", class: "node" }, el("span", { class: "name" }), el("i", { class: "mark", role: "img" })),
      data: el("span", { role: "gridcell", class: "data" }),
      age: el("span", { role: "gridcell", class: "age" }),
    };
    const root = el("div", { role: "row", class: "row" }, ...Object.values(cells));
    root.addEventListener("click", () => this.open(Number(root.dataset.sequence)));
    this.spacer.append(root);
    return { root, cells, shown: null, top: null, isActive: null };
  }

  empty(element) {
    element.root.hidden = true;
    element.root.removeAttribute("id");
    element.shown = null;
  }

  fill(element, row, index, height) {
    const { root, cells } = element;
    const top = index * height, isActive = row.sequence === this.active;
    // Most rows stay what and where they are from one picture to the next.
    if (element.shown === null) root.hidden = false;
    if (element.top !== top || element.shown === null) {
      element.top = top;
      root.style.transform = `translateY(${top}px)`;
      root.setAttribute("aria-rowindex", String(index + 1));
    }
    if (element.isActive !== isActive) {
      element.isActive = isActive;
      root.setAttribute("aria-selected", String(isActive));
    }
    if (element.shown !== row) {
      element.shown = row;
      root.id = row.id;
      root.dataset.sequence = row.sequence;
      root.dataset.kind = row.kind;
      root.dataset.kept = row.raw === undefined ? "yes" : "no";
      root.dataset.type = row.event?.type ?? "";
      root.dataset.color = row.event?.type === "alert.fired" ? eventColor(row.event) : "";
      if (row.kind === "gap") this.fillGap(cells, row); else this.fillEvent(cells, row);
    }
    if (row.kind === "event") {
      text(cells.age, age(row.time));
      cells.age.title = `${ago(row.time)}: ${absolute(row.time)}`;
    }
  }

  fillEvent(cells, { event, time, raw }) {
    text(cells.time, clock(time));
    cells.time.title = absolute(time);
    cells.type.dataset.color = eventColor(event);
    text(cells.type.lastChild, event.type);
    title(cells.type, event.type);
    text(cells.node.firstChild, event.node);
    title(cells.node, signed(event) ? `${event.node}: ${signed(event)}` : event.node);
    mark(cells.node.lastChild, event);
    cells.data.replaceChildren(...raw === undefined ? [] : [el("em", { class: "unkept" }, "not kept"), " "], ...summary(event));
  }

  fillGap(cells, { from, to, reason }) {
    const why = { dropped: "the stream no longer has them", skipped: "too many were missed", paused: "too many came while it was paused", overrun: "too many came at once" };
    for (const cell of Object.values(cells)) cell.removeAttribute("title");
    for (const cell of [cells.time, cells.node.firstChild, cells.age, cells.type.lastChild]) text(cell, "");
    mark(cells.node.lastChild, {});
    delete cells.type.dataset.color;
    if (reason === "away") return text(cells.data, "What came while the connection was lost is missing here (nothing keeps it)");
    const count = to - from + 1;
    text(cells.data, `${count === 1 ? "One event is" : `${count.toLocaleString("en")} events are`} missing here (${why[reason] ?? reason})`);
  }

  renderStatus() {
    const { rows, isLoading, cursor, error, live } = this.events;
    const isEmpty = rows.length === 0 && !isLoading && (cursor !== undefined || error !== null);
    $("list-empty").hidden = !isEmpty;
    if (isEmpty) this.renderEmpty(error);
    $("newer").hidden = this.unseen === 0;
    text($("newer"), `↑ ${this.unseen.toLocaleString("en")} new`);
    const all = live !== null ? "not kept" : cursor === null ? "that is all there is" : "scroll for older ones";
    text($("list-status"), error ? `${error.message} Trying again.`
      : isLoading ? "Loading…" : rows.length ? `${rows.length === 1 ? "One event" : `${rows.length.toLocaleString("en")} events`}, ${all}` : "");
  }

  renderEmpty(error) {
    const box = $("list-empty");
    const { live } = this.events;
    const key = error ? error.message : `${this.filters.isActive} ${live !== null}`;
    if (box.dataset.key === key) return;
    box.dataset.key = key;
    if (error) box.replaceChildren(el("p", {}, error.message));
    else if (this.filters.isActive) {
      box.replaceChildren(el("p", {}, "No event fits these filters."),
        el("button", { type: "button", onclick: () => this.filters.clear() }, "Clear the filters"));
    } else if (live !== null) {
      box.replaceChildren(el("p", {}, "No event has come yet. Those that come are shown, and not kept. Keep them from now on:"),
        el("code", {}, "mesh-events stream create"));
    } else {
      box.replaceChildren(el("p", {}, "No events are kept yet. Emit one:"), el("code", {}, "mesh-events emit user.hello name=world"));
    }
  }

  // Keyboard and opening

  /** Moves to the next row (1) or the one before (-1). */
  move(step) {
    const { rows } = this.events;
    if (!rows.length) return;
    const current = this.active === null ? -1 : this.indexOf(this.active);
    const index = Math.min(rows.length - 1, Math.max(0, current < 0 ? 0 : current + step));
    this.active = this.row(index).sequence;
    const top = index * this.rowHeight;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.rowHeight > scrollTop + clientHeight) this.element.scrollTop = top + this.rowHeight - clientHeight;
    this.draw();
    this.dispatchEvent(new CustomEvent("move", { detail: this.row(index) }));
  }

  open(sequence = this.active) {
    if (sequence === null) return;
    const index = this.indexOf(sequence);
    const row = index < 0 ? null : this.row(index);
    if (row?.kind !== "event") return;
    this.active = sequence;
    this.draw();
    this.dispatchEvent(new CustomEvent("open", { detail: row }));
  }
}
