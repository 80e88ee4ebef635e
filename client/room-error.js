/** What a room could not do, for a program (`code`) and for a person (`detail`). */
export class RoomError extends Error {
  /**
   * @param {string} code stable, kebab-case
   * @param {string} detail
   * @param {{retryMs?: number, cause?: unknown}} [more]
   */
  constructor(code, detail, { retryMs, cause } = {}) {
    super(detail ? `${code}: ${detail}` : code, { cause });
    this.name = "RoomError";
    this.code = code;
    this.detail = detail;
    this.retryMs = retryMs;
  }
}
