/**
 * Time that moves only when a test says so.
 *
 *   clock.advance(300)   time passes, timers run when they are due
 *   clock.sleep(60_000)  the machine slept: time has passed, but no timer has run yet; the next advance runs them late
 */
export class ManualClock {
  #now = 1_800_000_000_000;
  #timers = new Map();
  #count = 0;

  now() {
    return this.#now;
  }

  setTimeout(fn, ms) {
    const id = ++this.#count;
    this.#timers.set(id, { fn, at: this.#now + Math.max(0, ms) });
    return id;
  }

  clearTimeout(id) {
    this.#timers.delete(id);
  }

  /** How many timers wait; none should be left behind by something that has ended. */
  get waiting() {
    return this.#timers.size;
  }

  advance(ms) {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= until).sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
      if (!due) break;
      const [id, { fn, at }] = due;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, at);
      fn();
    }
    this.#now = until;
  }

  sleep(ms) {
    this.#now += ms;
  }
}
