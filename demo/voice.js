/** One's part in a room's voice call: joining it, the microphone, and how loud everyone is. */

/** How long joining may take before the person is told that it did not work. */
const DEADLINE_MS = 15_000;

/**
 * @typedef {"unreachable" | "refused" | "missing" | "busy" | "microphone" | "removed" | "elsewhere" | "lost"} Trouble
 *   the call cannot be reached; the microphone is refused, not there, in use elsewhere, or broken; one was sent out of the call, joined it
 *   in another window, or lost it
 * @typedef {object} Call a call that was joined
 * @property {boolean} speaking whether the microphone is on
 * @property {(on: boolean) => Promise<unknown>} speak the microphone on or off; throws a VoiceProblem
 * @property {() => Promise<unknown>} listen play the others, after the browser has not
 * @property {(userId: string) => number} level how loud somebody is right now, 0 to 1
 * @property {() => Promise<unknown>} close
 * @typedef {{changed(): void, silent(): void, ended(why: Trouble): void}} CallEvents what VoiceOptions tells on
 * @typedef {(place: {url: string, token: string}, events: CallEvents, signal: AbortSignal) => Promise<Call>} Connect
 *   throws a VoiceProblem; when aborted it stops trying, or hangs up
 * @typedef {"off" | "joining" | "listening" | "speaking"} VoiceState
 */

/** What went wrong with the voice, by a name that i18n.js has words for. */
export class VoiceProblem extends Error {
  /** @param {Trouble} trouble @param {ErrorOptions} [options] */
  constructor(trouble, options) {
    super(trouble, options);
    this.code = `voice-${trouble}`;
  }
}

/**
 * @typedef {object} VoiceOptions
 * @property {() => Promise<{url: string, token: string}>} getToken
 * @property {Connect} connect
 * @property {() => void} onChange the state, or how loud somebody is
 * @property {() => void} onSilent the browser plays nothing until `listen` is called in an event of the person's own
 * @property {(error: unknown) => void} onFault
 * @property {number} [deadlineMs]
 */

export class Voice {
  #options;
  #may = true;
  /** @type {Call | null} */
  #call = null;
  /** The joining or the call that is on. @type {AbortController | null} */
  #on = null;

  /** @param {VoiceOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** @returns {VoiceState} */
  get state() {
    if (!this.#on) return "off";
    if (!this.#call) return "joining";
    return this.#call.speaking ? "speaking" : "listening";
  }

  /** Whether one's role lets one speak, and no moderator muted one. */
  get may() { return this.#may; }

  /** @param {string} userId @returns {number} 0 to 1 */
  level(userId) { return this.#call?.level(userId) ?? 0; }

  /** Join and speak; once inside, the microphone on and off. */
  async press() {
    const on = this.#on ?? new AbortController();
    try {
      if (this.#call) await this.#speak(this.#call, !this.#call.speaking);
      else if (!this.#on) await this.#join(on);
    } catch (error) {
      if (this.#on === on) this.#options.onFault(error); // else one has left meanwhile, and nobody waits for it
      if (!this.#call) this.#end(on);
    }
    this.#options.onChange();
  }

  /** Play the others, where the browser wants that to come from the person: call it in an event of theirs. */
  async listen() {
    await this.#call?.listen().catch(this.#options.onFault);
  }

  /** Speaking is allowed or not; an open microphone closes at once, and never opens by itself. @param {boolean} may */
  permit(may) {
    if (may === this.#may) return;
    this.#may = may;
    if (!may && this.#call?.speaking) this.#call.speak(false).catch(this.#options.onFault).finally(this.#options.onChange);
    this.#options.onChange();
  }

  /** Hang up, or stop joining. */
  async leave() {
    const call = this.#call;
    if (this.#on) this.#end(this.#on);
    await call?.close();
  }

  /** @param {AbortController} on */
  async #join(on) {
    this.#on = on;
    this.#options.onChange();
    const timer = setTimeout(() => on.abort(new VoiceProblem("unreachable")), this.#options.deadlineMs ?? DEADLINE_MS);
    try {
      this.#call = await stoppable(this.#reach(on), on.signal);
    } finally {
      clearTimeout(timer);
    }
    await this.#speak(this.#call, true);
  }

  /** @param {AbortController} on */
  async #reach(on) {
    const place = await this.#options.getToken();
    on.signal.throwIfAborted();
    return this.#options.connect(place, {
      changed: () => this.#options.onChange(),
      silent: () => this.#options.onSilent(),
      ended: (why) => {
        if (this.#on !== on) return;
        this.#end(on);
        this.#options.onFault(new VoiceProblem(why));
      },
    }, on.signal);
  }

  /** @param {Call} call @param {boolean} on */
  async #speak(call, on) {
    if (on && !this.#may) return;
    await call.speak(on);
    if (on && !this.#may) await call.speak(false); // muted while the browser asked for the microphone
  }

  /** @param {AbortController} on */
  #end(on) {
    if (this.#on !== on) return;
    this.#call = null;
    this.#on = null;
    on.abort();
    this.#options.onChange();
  }
}

/**
 * The work's result, or the reason of the abort if that comes first.
 * @template T @param {Promise<T>} work @param {AbortSignal} signal @returns {Promise<T>}
 */
function stoppable(work, signal) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}
