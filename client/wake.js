/** When a page may have slept, or its network may have changed. */

const SIGNALS = ["visibilitychange", "pageshow", "resume", "online"];

/** @returns {EventTarget | null} the window, or `null` outside a browser */
export function pageEvents() {
  return typeof globalThis.addEventListener === "function" ? globalThis : null;
}

/**
 * @param {EventTarget | null} target
 * @param {(signal: {networkBack: boolean}) => void} woke
 * @returns {() => void} stops listening
 */
export function onWake(target, woke) {
  if (!target) return () => {};
  const heard = (/** @type {Event} */ event) => {
    if (event.type === "visibilitychange" && globalThis.document?.visibilityState === "hidden") return;
    woke({ networkBack: event.type === "online" });
  };
  // Capture: `resume` and `visibilitychange` belong to the document, and the first does not bubble.
  for (const signal of SIGNALS) target.addEventListener(signal, heard, true);
  return () => {
    for (const signal of SIGNALS) target.removeEventListener(signal, heard, true);
  };
}
