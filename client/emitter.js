/** Typed events whose listeners cannot harm each other or the code that emits. */

/**
 * @template {Record<string, any>} Events
 */
export class Emitter {
  /** @type {Map<keyof Events, Set<(payload: any) => void>>} */
  #listeners = new Map();

  /**
   * Call `listener` with every later payload of `type`.
   * @template {keyof Events} T
   * @param {T} type
   * @param {(payload: Events[T]) => void} listener
   * @returns {() => void} stops it; calling it twice is fine
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    const own = (/** @type {Events[T]} */ payload) => listener(payload);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  /**
   * @template {keyof Events} T
   * @param {T} type
   * @param {Events[T]} payload
   */
  emit(type, payload) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(payload);
      } catch (error) {
        // The page's bug must be seen, but not unwind into the socket handler that emits.
        report(error);
      }
    }
  }
}

/** @param {unknown} error */
function report(error) {
  if (typeof globalThis.reportError === "function") globalThis.reportError(error);
  else queueMicrotask(() => { throw error; });
}
