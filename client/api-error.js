/** What the HTTP side refused, or that it could not be reached. */

export class ApiError extends Error {
  /**
   * @param {{status: number, code: string, detail: string, requestId?: string | null, retryAfterMs?: number | null,
   *   errors?: {pointer: string, detail: string}[], cause?: unknown}} problem
   */
  constructor({ status, code, detail, requestId = null, errors = [], retryAfterMs = null, cause }) {
    super(detail ? `${code}: ${detail}` : code, { cause });
    this.name = "ApiError";
    /** HTTP status, 0 when no answer came. */
    this.status = status;
    /** Stable, kebab-case; `network` or `timeout` when no answer came. */
    this.code = code;
    this.detail = detail;
    /** What to tell the operator. */
    this.requestId = requestId;
    /** Which fields were wrong. */
    this.errors = errors;
    /** When asking again makes sense, in ms from now; `null` if it was not said. */
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * An answer that is no success, as an error (RFC 9457 problem details, or whatever a proxy in between said).
 * @param {Response} response
 * @param {number} now ms since the epoch
 * @returns {Promise<ApiError>}
 */
export async function problemOf(response, now) {
  const isJson = /[/+]json\b/.test(response.headers.get("content-type") ?? "");
  const problem = isJson ? await response.json().catch(() => ({})) : {};
  return new ApiError({
    status: response.status,
    code: typeof problem?.code === "string" ? problem.code : `http-${response.status}`,
    detail: problem?.detail ?? problem?.title ?? response.statusText,
    requestId: problem?.requestId ?? response.headers.get("x-request-id"),
    errors: Array.isArray(problem?.errors) ? problem.errors : [],
    retryAfterMs: retryAfterMs(response.headers.get("retry-after"), now),
  });
}

/**
 * `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3).
 * @param {string | null} header
 * @param {number} now
 */
function retryAfterMs(header, now) {
  if (header === null) return null;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}
