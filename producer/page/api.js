/**
 * Asking the door that this page came from.
 *
 * Every refusal and every failure is a Problem whose message says what happened; none is passed over.
 */

import { hear } from "./clock.js";
import { currentToken, forgetToken } from "./session.js";

const PATIENCE_MILLISECONDS = 60_000;

/** Why a request was refused, or has no answer. */
export class Problem extends Error {
  /**
   * @param {string} message What happened.
   * @param {{status?: number, code?: string, errors?: any[], requestId?: string, retryAfter?: number}} more What else
   *     is known; status 0: there was no answer.
   */
  constructor(message, { status = 0, code = "NO_ANSWER", errors = [], requestId = "", retryAfter = 0 } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/**
 * Make the path of a resource.
 *
 * @param {...string} parts Its segments, as they are.
 * @returns {string} The path, relative to the page.
 */
export function path(...parts) {
  return parts.map(encodeURIComponent).join("/");
}

/**
 * Ask the door.
 *
 * @param {string} method The method.
 * @param {string} where The path, relative to the page.
 * @param {{query?: Object<string, unknown>, body?: unknown, key?: string, signal?: AbortSignal}} options query: its
 *     members without a value are left out; key: names the request, so that its repetition has no second effect.
 * @returns {Promise<any>} The answer's document; null where it has none.
 * @throws {Problem} It was refused, or has no answer.
 */
export async function ask(method, where, { query = {}, body, key, signal } = {}) {
  const address = new URL(where, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") address.searchParams.set(name, String(value));
  }
  const token = await currentToken();
  /** @type {Object<string, string>} */
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (key) headers["Idempotency-Key"] = key;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const ended = AbortSignal.timeout(PATIENCE_MILLISECONDS);
  return send(address, token, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, ended]) : ended,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  });
}

/**
 * Read all pages of a list.
 *
 * @param {string} where The path.
 * @param {string} member What the list is called in an answer.
 * @param {AbortSignal} signal Ends it.
 * @returns {Promise<{found: any[], pages: number}>} All of it, and in how many answers it came.
 */
export async function askAll(where, member, signal) {
  const found = [];
  let pages = 0;
  let nextToken;
  do {
    const page = await ask("GET", where, { query: { limit: 1000, nextToken }, signal });
    found.push(...page[member]);
    nextToken = page.nextToken;
    pages += 1;
  } while (nextToken);
  return { found, pages };
}

/** Make a name for a request. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * @param {URL} address
 * @param {string | null} token
 * @param {RequestInit} request
 */
async function send(address, token, request) {
  const effect = request.method === "GET" ? "" : " It may have had its effect all the same: look, or repeat it here.";
  let response, text;
  try {
    response = await fetch(address, request);
    text = await response.text();
  } catch (error) {
    if (request.signal?.aborted && request.signal.reason?.name === "AbortError") throw error;
    throw new Problem(`prelaunch did not answer (${/** @type {Error} */ (error).message}).${effect}`);
  }
  hear(response);
  const told = parse(text);
  if (response.ok && told !== undefined) return told;
  if (response.ok) throw new Problem(`Something that is not prelaunch answered ${response.status}, without JSON.${effect}`);
  if (response.status === 401) forgetToken(token);
  throw refusal(response, Object(told ?? {}));
}

/**
 * @param {Response} response
 * @param {any} told
 */
function refusal(response, told) {
  return new Problem(told.detail ?? told.message ?? `prelaunch answered ${response.status} ${response.statusText}.`, {
    status: response.status,
    code: told.code ?? `HTTP_${response.status}`,
    errors: told.errors ?? [],
    requestId: told.requestId ?? response.headers.get("X-Request-Id") ?? "",
    retryAfter: Number(response.headers.get("Retry-After") ?? 0),
  });
}

/** @param {string} text */
function parse(text) {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    // A proxy's own words: the status has to do.
    return undefined;
  }
}
