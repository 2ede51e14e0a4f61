/** Showing why a source server failed, and what of it is, or would be, changed. */

import { make } from "./dom.js";

/**
 * Show why a source server failed.
 *
 * @param {any} error One of its errors.
 * @returns {any} The element.
 */
export function reason({ code, message, operation, requestId, attempt }) {
  const aside = [operation, `attempt ${attempt}`, requestId ? `AWS request ${requestId}` : null].filter(Boolean).join(", ");
  return make("div", {}, make("code", {}, code), ` ${message} `, make("span", { class: "aside" }, aside));
}

/**
 * Show a field: what it is or was, and what is wanted.
 *
 * @param {any} change The field, observed and desired.
 * @returns {any} The element.
 */
export function changed({ field, observed, desired }) {
  return make("div", {}, make("code", {}, field), " ", make("code", {}, said(observed)), " → ", make("code", {}, said(desired)));
}

/** @param {unknown} value */
function said(value) {
  return value === null || value === undefined ? "nothing" : JSON.stringify(value);
}
