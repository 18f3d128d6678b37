// The connection to the worker: it comes back by itself, and asks to log in when it must.

const WAITS_MS = [500, 1000, 2000, 5000];
const LOG_IN_AGAIN = 1008;

export class Live {
  #socket = null;
  #failures = 0;
  #visible = [];
  #onMessage;
  #onState;

  constructor(onMessage, onState) {
    this.#onMessage = onMessage;
    this.#onState = onState;
    this.#connect();
  }

  /** Tell the worker which rows are on the screen: it sends the levels of those. */
  look(ids) {
    this.#visible = ids;
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ visible: ids }));
    }
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/live`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#failures = 0;
      this.#onState(true);
      this.look(this.#visible);
    };
    socket.onmessage = (event) => this.#onMessage(JSON.parse(event.data));
    socket.onclose = (event) => this.#closed(event.code);
  }

  async #closed(code) {
    this.#onState(false);
    if (code === LOG_IN_AGAIN || (await this.#isShutOut())) {
      location.assign("/login");
      return;
    }
    const wait = WAITS_MS[Math.min(this.#failures++, WAITS_MS.length - 1)];
    setTimeout(() => this.#connect(), wait);
  }

  // A browser does not say why a websocket was refused.
  async #isShutOut() {
    try {
      return (await fetch("/api/rooms", { method: "HEAD" })).status === 401;
    } catch {
      return false;
    }
  }
}
