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

import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

export class ScriptedServer {
  offset = 0;
  epoch = "e1";
  /** No WebSocket gets through; `"silently"`: and nobody says so. @type {boolean | "silently"} */
  blocking = false;
  /** @type {any[]} */
  #swallowed = [];
  /** What the next requests are answered instead: `{status, headers?, body?}`. @type {any[]} */
  answers = [];
  /** Of the fallback. @type {any[]} */
  requests = [];
  #http = createServer();
  #server;
  #streams = new Map();
  #sockets = new Queue();
  #visits = new Queue();
  #welcomes = 0;

  static async start(t) {
    const server = new ScriptedServer();
    server.#http.listen(0, "127.0.0.1");
    await once(server.#http, "listening");
    t.after(() => server.stop());
    return server;
  }

  constructor() {
    this.#server = new WebSocketServer({ noServer: true, handleProtocols: (offered) => offered.has("vchat.v1") && "vchat.v1" });
    this.#http.on("upgrade", (request, socket, head) => {
      if (this.blocking === "silently") this.#swallowed.push(socket);
      else if (this.blocking) socket.destroy();
      else this.#server.handleUpgrade(request, socket, head, (opened) => this.#connected(opened));
    });
    this.#http.on("request", (request, response) => void this.#requested(request, response));
  }

  /** @param {any} socket */
  #connected(socket) {
    const visit = new Visit(this, socket);
    this.#sockets.put(visit);
    visit.frame("hello").then((hello) => {
      visit.hello = hello;
      this.#visits.put(visit);
    });
  }

  async #requested(request, response) {
    this.requests.push({ method: request.method, url: request.url, headers: request.headers });
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    const answer = this.answers.shift();
    if (answer) {
      response.writeHead(answer.status, answer.headers ?? {});
      response.end(answer.body ?? "");
    } else if (request.url.endsWith("/stream")) {
      const stream = new ScriptedStream(response, `key-${this.#streams.size + 1}`);
      this.#streams.set(stream.key, stream);
      this.#connected(stream);
      stream.heard(body);
    } else {
      const stream = this.#streams.get(String(request.headers.authorization).replace("Bearer ", ""));
      response.writeHead(stream && !stream.over ? 202 : 410).end();
      stream?.heard(body);
    }
  }

  get url() {
    return `ws://127.0.0.1:${this.#http.address().port}/rooms/r1`;
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
    for (const socket of this.#swallowed) socket.destroy();
    this.#http.closeAllConnections();
    this.#http.close();
    await once(this.#http, "close");
  }
}

/** The relay's end of the fallback, in the shape of a socket. */
class ScriptedStream extends EventEmitter {
  protocol = "vchat.v1";
  over = false;
  #response;
  #code = 3000;

  constructor(response, key) {
    super();
    this.#response = response;
    this.key = key;
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    this.#tell("stream", JSON.stringify({ key }));
    response.on("close", () => {
      this.over = true;
      this.emit("close", this.#code);
    });
  }

  heard(body) {
    for (const line of body.split("\n")) {
      const binary = line.startsWith(":");
      if (line === '{"type":"leave"}') this.#code = 1000;
      this.emit("message", binary ? Buffer.from(line.slice(1), "base64") : line, binary);
    }
  }

  send(data) {
    if (typeof data === "string") this.#tell("", data);
    else this.#tell("tick", Buffer.from(data).toString("base64"));
  }

  close(code, reason = "") {
    this.#code = code;
    this.#tell("close", JSON.stringify({ code, reason }));
    this.#response.end();
  }

  terminate() {
    this.#response.destroy();
  }

  #tell(name, data) {
    if (!this.over) this.#response.write(`: \n\n${name && `event: ${name}\n`}data: ${data}\n\n`);
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
