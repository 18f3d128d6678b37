// The dashboard: what comes from the worker is collected, and written once before each picture.

import { beforePaint, part, text } from "./dom.js";
import { Issues } from "./issues.js";
import { Live } from "./live.js";
import { Rooms } from "./rooms.js";
import { Store } from "./store.js";
import { Table } from "./table.js";

const store = new Store();
const filter = document.getElementById("filter");
const table = new Table(store, (ids) => live.look(ids));
const rooms = new Rooms(store, (room) => table.show(room, filter.value));
const issues = new Issues(store, (id) => {
  filter.value = "";
  rooms.choose(null);
  table.focus(id);
});

let changed = new Set();
let gone = new Set();
let levels = {};
let roomsChanged = true;

const write = beforePaint(() => {
  const [newRows, oldRows, newLevels] = [changed, gone, levels];
  [changed, gone, levels] = [new Set(), new Set(), {}];
  if (newRows.size || oldRows.size || roomsChanged) {
    roomsChanged = false;
    table.update(newRows, oldRows);
    rooms.update();
    issues.update();
  }
  table.levels(newLevels);
  showWorker(store.worker);
});

function take(message) {
  const news = store.take(message);
  for (const id of news.gone) {
    gone.add(id);
    changed.delete(id);
  }
  for (const id of news.changed) {
    changed.add(id);
    gone.delete(id);
  }
  roomsChanged ||= Boolean(message.anew || message.rooms || message.gone_rooms);
  Object.assign(levels, message.levels);
  write();
}

function showState(on) {
  const node = document.getElementById("link");
  node.classList.toggle("on", on);
  text(node, on ? "live" : "reconnecting…");
}

function showWorker(worker) {
  document.getElementById("worker").hidden = worker === null;
  if (worker === null) return;
  const load = document.getElementById("load");
  part(load.querySelector(".fill"), Math.min(1, worker.load));
  load.querySelector(".mark").style.left = `${worker.full_at * 100}%`;
  load.classList.toggle("full", worker.load >= worker.full_at);
  load.setAttribute("aria-valuenow", String(worker.load));
  load.setAttribute("aria-valuetext", `${worker.load}; full at ${worker.full_at}`);
  const mics = `${worker.heard} of ${worker.microphones} microphones heard`;
  const more = worker.room_for === null ? "" : `, room for about ${worker.room_for} more`;
  text(document.getElementById("capacity"), `load ${worker.load.toFixed(2)}: ${mics}${more}`);
}

filter.addEventListener("input", () => table.show(rooms.chosen, filter.value));
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && event.target !== filter) {
    event.preventDefault();
    filter.focus();
  } else if (event.key === "Escape" && event.target === filter) {
    filter.value = "";
    table.show(rooms.chosen, "");
  }
});

const live = new Live(take, showState);
table.show(rooms.chosen, "");
setInterval(() => {
  if (document.hidden) return;
  table.tick();
  issues.tick();
}, 1000);
