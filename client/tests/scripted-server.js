/**
 * A relay that does only what a test tells it, speaking the protocol on a real socket.
 *
 *   const server = await ScriptedServer.start(t);     stops with the test; `server.url` is what a ticket would say
 *   const visit = await server.visit();               the next socket whose hello has come; `visit.hello` is that frame
 *   visit.welcome({ offset: 4, head: 6 });            let it in (every field has a default)
 *   visit.event("chat", { text: "hi" });              the room's next event; `server.offset` counts, { offset } overrides
 *   await visit.frame("chat");                        the next text frame of that type; others stay in `visit.unread`
 *   visit.send({ type: "migrate", afterMs: 0 });      any frame; `visit.raw("not json")`, `visit.raw(bytes)` for nonsense
 *   visit.bye(4301, "be nice", { retryMs: 10 });      a goodbye without closing, as when a proxy keeps the socket open
 *   visit.close(4100);                                a close code without a goodbye
 *   visit.drop();                                     no closing handshake at all: the browser sees 1006
 *   await visit.gone;                                 the close code the client's side ended with
 *   await server.opened();                            the next socket, before its hello (to refuse or drop it early)
 */

import { once } from "node:events";
import { WebSocketServer } from "ws";

export class ScriptedServer {
  offset = 0;
  epoch = "e1";
  #server;
  #sockets = new Queue();
  #visits = new Queue();
  #welcomes = 0;

  static async start(t) {
    const server = new ScriptedServer(new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: (offered) => offered.has("vchat.v1") && "vchat.v1" }));
    await once(server.#server, "listening");
    t.after(() => server.stop());
    return server;
  }

  constructor(server) {
    this.#server = server;
    server.on("connection", (socket) => {
      const visit = new Visit(this, socket);
      this.#sockets.put(visit);
      visit.frame("hello").then((hello) => {
        visit.hello = hello;
        this.#visits.put(visit);
      });
    });
  }

  get url() {
    return `ws://127.0.0.1:${this.#server.address().port}/rooms/r1`;
  }

  /** The next socket, before its hello. */
  opened() {
    return this.#sockets.take();
  }

  /** The next socket that has said hello. */
  visit() {
    return this.#visits.take();
  }

  /** How many sockets were opened and not yet taken by `opened`. */
  get untaken() {
    return this.#sockets.size;
  }

  welcomeNumber() {
    return ++this.#welcomes;
  }

  async stop() {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
    await once(this.#server, "close");
  }
}

export const ME = { seat: 1, userId: "u-me", name: "Yuki", role: "member", avatar: null, muted: false, away: false };
export const OTHER = { seat: 2, userId: "u-other", name: "Sora", role: "member", avatar: null, muted: false, away: false };

class Visit {
  /** @type {any} */
  hello = null;
  #server;
  #socket;
  #frames = new Queue();
  #poses = new Queue();

  constructor(server, socket) {
    this.#server = server;
    this.#socket = socket;
    this.protocol = socket.protocol;
    this.gone = once(socket, "close").then(([code]) => code);
    socket.on("message", (data, isBinary) => (isBinary ? this.#poses.put(data) : this.#frames.put(JSON.parse(String(data)))));
  }

  welcome(fields = {}) {
    const recovered = Boolean(fields.recovered);
    this.send({
      type: "welcome", session: "s1", seat: ME.seat, user: { id: ME.userId, name: ME.name, avatar: null }, role: ME.role,
      room: { id: "r1", name: "Lobby" }, members: [ME, OTHER], epoch: this.#server.epoch,
      offset: recovered ? this.hello.resume.offset : this.#server.offset, head: this.#server.offset, recovered, history: [],
      resume: `resume-${this.#server.welcomeNumber()}`, tickHz: 20, pingMs: 20_000, serverTime: 1_900_000_000_000,
      limits: { poseHz: 30, textLength: 2000 }, ...fields,
    });
  }

  event(type, fields = {}) {
    const offset = fields.offset ?? ++this.#server.offset;
    this.send({ type, offset, time: 1_900_000_000_000 + offset, id: `m${offset}`, seat: OTHER.seat, userId: OTHER.userId, name: OTHER.name, ...fields });
  }

  send(frame) {
    this.raw(JSON.stringify(frame));
  }

  raw(data) {
    this.#socket.send(data);
  }

  bye(code, reason = "", more = {}) {
    this.send({ type: "bye", code, reason, ...more });
  }

  close(code, reason) {
    this.#socket.close(code, reason);
  }

  drop() {
    this.#socket.terminate();
  }

  /** The next text frame of `type`. */
  frame(type) {
    return this.#frames.take((frame) => frame.type === type);
  }

  /** The next binary frame. */
  pose() {
    return this.#poses.take();
  }

  /** Binary frames that came and were not taken. */
  get unreadPoses() {
    return this.#poses.all();
  }

  /** Text frames that came and were not taken. */
  get unread() {
    return this.#frames.all();
  }
}

/** What arrives before it is wanted waits; who wants it before it arrives waits. */
class Queue {
  #items = [];
  #takers = [];

  get size() {
    return this.#items.length;
  }

  all() {
    return [...this.#items];
  }

  put(item) {
    const at = this.#takers.findIndex(({ fits }) => fits(item));
    if (at === -1) this.#items.push(item);
    else this.#takers.splice(at, 1)[0].resolve(item);
  }

  take(fits = () => true) {
    const at = this.#items.findIndex(fits);
    if (at !== -1) return Promise.resolve(this.#items.splice(at, 1)[0]);
    return new Promise((resolve) => this.#takers.push({ fits, resolve }));
  }
}
