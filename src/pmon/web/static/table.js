// The participants: which rows are there, in which order, and which of them are on the screen.

import { arrange, text } from "./dom.js";
import { Row } from "./row.js";

const MOST_VISIBLE = 200;
const LOOK_MS = 150;
const LEVELS_OLD_MS = 3000;
const SEVERITIES = ["info", "warning", "critical"];
const QUALITIES = ["lost", "poor", "good", "excellent", "unknown"];

const { compare } = new Intl.Collator(undefined, { numeric: true });

const ORDERS = {
  who: { up: true, key: () => 0 },
  talk: { up: false, key: (row, store) => Math.round(store.talk(row)) },
  share: { up: false, key: (row, _, share) => Math.round((share(row) ?? 0) * 100) },
  quality: { up: true, key: (row) => QUALITIES.indexOf(row.quality) },
  issues: {
    up: false,
    key: (row) =>
      row.issues.reduce((sum, i) => sum + 10 ** SEVERITIES.indexOf(i.severity), 0),
  },
};

export class Table {
  room = null;
  #filter = "";
  #sort = "who";
  #up = true;
  #rows = new Map();
  #visible = new Set();
  #levelled = new Map();
  #looking = 0;
  #totals = new Map();
  #begun = false;

  constructor(store, onLook) {
    this.store = store;
    this.onLook = onLook;
    this.table = document.getElementById("table");
    this.body = document.getElementById("rows");
    this.observer = new IntersectionObserver((seen) => this.#seen(seen), { rootMargin: "80px" });
    this.body.addEventListener("keydown", (event) => this.#key(event));
    this.body.addEventListener("focusin", (event) => this.#enter(event.target));
    for (const head of this.table.querySelectorAll("[data-sort]")) {
      head.firstElementChild.addEventListener("click", () => this.#sortBy(head.dataset.sort));
    }
    this.#showSort();
  }

  /** Write what has changed. */
  update(changed, gone) {
    let moved = !this.#begun || gone.size > 0 || this.#sort !== "who" || this.#filter !== "";
    for (const id of gone) this.#forget(id);
    const now = this.store.now();
    this.#totals = this.store.roomTalk();
    for (const id of changed) {
      const data = this.store.rows.get(id);
      if (!data) continue;
      let row = this.#rows.get(id);
      if (!row) {
        row = new Row(data);
        this.#rows.set(id, row);
        this.observer.observe(row.node);
        moved = true;
      }
      row.fill(data);
      this.#tick(row, now);
    }
    this.#begun = true;
    if (moved) this.order();
  }

  /** Time has passed. */
  tick() {
    const now = this.store.now();
    this.#totals = this.store.roomTalk();
    for (const id of this.#visible) this.#tick(this.#rows.get(id), now);
    for (const [id, at] of this.#levelled) {
      if (performance.now() - at > LEVELS_OLD_MS) {
        this.#levelled.delete(id);
        this.#rows.get(id)?.level(null);
      }
    }
    if (this.#sort === "talk" || this.#sort === "share") this.order();
  }

  levels(levels) {
    for (const [id, dbov] of Object.entries(levels)) {
      this.#rows.get(id)?.level(dbov);
      this.#levelled.set(id, performance.now());
    }
  }

  show(room, filter) {
    this.room = room;
    this.#filter = filter.trim().toLowerCase();
    this.table.classList.toggle("one-room", room !== null);
    this.order();
  }

  /** Put the cursor on a row, which must be shown. */
  focus(id) {
    this.#rows.get(id)?.node.focus();
    this.#rows.get(id)?.node.scrollIntoView({ block: "center" });
  }

  order() {
    const wanted = [...this.#rows.values()].filter(
      (row) =>
        (this.room === null || row.data.room === this.room) &&
        (this.#filter === "" || row.search.includes(this.#filter)),
    );
    const { key } = ORDERS[this.#sort];
    const keys = new Map(wanted.map((row) => [row, key(row.data, this.store, this.#share)]));
    const sign = this.#up ? 1 : -1;
    const byName = (a, b) =>
      compare(a.data.who, b.data.who) ||
      compare(a.data.room, b.data.room) ||
      compare(a.data.id, b.data.id);
    const nameSign = this.#sort === "who" ? sign : 1;
    wanted.sort((a, b) => sign * (keys.get(a) - keys.get(b)) || nameSign * byName(a, b));
    arrange(this.body, wanted.map((row) => row.node));
    if (!this.body.querySelector('[tabindex="0"]')) this.#enter(this.body.firstElementChild);
    const all = this.#rows.size;
    text(
      document.getElementById("shown"),
      wanted.length === all ? `${all} shown` : `${wanted.length} of ${all} shown`,
    );
    const empty = document.getElementById("empty");
    empty.hidden = wanted.length > 0 || !this.#begun;
    text(empty, all ? "Nobody matches." : "Nobody is watched just now.");
  }

  #share = (data) => {
    const total = this.#totals.get(data.room) ?? null;
    return total ? Math.min(1, this.store.talk(data) / total) : null;
  };

  #tick(row, now) {
    if (row) row.tick(now, this.store.talk(row.data), this.#share(row.data));
  }

  #forget(id) {
    const row = this.#rows.get(id);
    if (!row) return;
    this.observer.unobserve(row.node);
    row.node.remove();
    this.#rows.delete(id);
    this.#levelled.delete(id);
    if (this.#visible.delete(id)) this.#look();
  }

  #seen(entries) {
    const now = this.store.now();
    for (const { target, isIntersecting } of entries) {
      const { id } = target.dataset;
      if (!isIntersecting) this.#visible.delete(id);
      else if (this.#rows.has(id)) {
        this.#visible.add(id);
        this.#tick(this.#rows.get(id), now);
      }
    }
    this.#look();
  }

  #look() {
    clearTimeout(this.#looking);
    this.#looking = setTimeout(
      () => this.onLook([...this.#visible].slice(0, MOST_VISIBLE)),
      LOOK_MS,
    );
  }

  // One row can be reached with Tab, the others from there with the arrows.

  #enter(target) {
    const row = target?.closest(".row");
    if (!row) return;
    for (const other of this.body.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    row.tabIndex = 0;
  }

  #key(event) {
    const row = event.target.closest(".row");
    const nodes = [...this.body.children];
    const at = nodes.indexOf(row);
    const page = Math.max(1, Math.floor(innerHeight / row.offsetHeight) - 3);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    let to = at + (steps[event.key] ?? 0);
    if (event.key === "Home") to = 0;
    if (event.key === "End") to = nodes.length - 1;
    to = Math.min(nodes.length - 1, Math.max(0, to));
    if (to === at) return;
    event.preventDefault();
    nodes[to].focus({ preventScroll: true });
    nodes[to].scrollIntoView({ block: "nearest" });
  }

  #sortBy(name) {
    this.#up = name === this.#sort ? !this.#up : ORDERS[name].up;
    this.#sort = name;
    this.#showSort();
    this.order();
  }

  #showSort() {
    for (const head of this.table.querySelectorAll("[data-sort]")) {
      if (head.dataset.sort !== this.#sort) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", this.#up ? "ascending" : "descending");
    }
  }
}
