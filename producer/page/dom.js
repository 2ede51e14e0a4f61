/**
 * Elements. Whatever is shown goes in as text: a group's name, or what AWS says, is never read as markup.
 */

/**
 * Make an element.
 *
 * @param {string} tag Its name.
 * @param {Object<string, unknown>} attributes Attributes; those that begin with `on` are listeners; null, undefined and
 *     false are left out.
 * @param {...unknown} children Elements and texts, also in lists; null, undefined and false are left out.
 * @returns {any} The element.
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...kept(children));
  return element;
}

/**
 * Put content into an element. What is there already is left as it is, so that nobody loses what he has selected; who was
 * at a control stays there, and what was unfolded stays so. Listeners therefore have to read what is newest by themselves.
 *
 * @param {Element} place The element.
 * @param {...unknown} children As for `make`.
 */
export function fill(place, ...children) {
  const next = make("div", {}, children);
  if (isSame(place, next)) return;
  const unfolded = keysOf(place, "details[open]");
  const at = place.contains(document.activeElement) ? /** @type {any} */ (document.activeElement).dataset.key : undefined;
  place.replaceChildren(...next.childNodes);
  for (const element of /** @type {NodeListOf<any>} */ (place.querySelectorAll("[data-key]"))) {
    if (element instanceof HTMLDetailsElement && unfolded.has(element.dataset.key)) element.open = true;
    if (at !== undefined && element.dataset.key === at) element.focus();
  }
}

/**
 * Make a table, or what stands in its place where it has no rows.
 *
 * @param {string[]} heads What its columns are called.
 * @param {unknown[][]} rows The cells of each row.
 * @param {string} empty What is said where there are none.
 * @returns {any} The element.
 */
export function table(heads, rows, empty) {
  if (rows.length === 0) return make("p", { class: "empty" }, empty);
  return make(
    "div",
    { class: "scroll" },
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, rows.map((cells) => make("tr", {}, cells.map((cell) => make("td", {}, cell))))),
    ),
  );
}

/**
 * Make a list of facts; those without a value are left out.
 *
 * @param {[string, unknown][]} facts Names and values.
 * @returns {any} The element.
 */
export function facts(facts) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return make("dl", {}, known.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

/**
 * Make a button.
 *
 * @param {string} name What stands on it.
 * @param {() => void} act What it does.
 * @param {Object<string, unknown>} more Further attributes.
 * @returns {any} The element.
 */
export function button(name, act, more = {}) {
  return make("button", { type: "button", "data-key": name, onclick: act, ...more }, name);
}

/**
 * @param {Element} place
 * @param {string} selector
 * @returns {Set<string | undefined>}
 */
function keysOf(place, selector) {
  return new Set([...place.querySelectorAll(selector)].map((each) => /** @type {any} */ (each).dataset.key));
}

/**
 * Tell whether two elements hold the same, but for how long ago moments were and what is unfolded.
 *
 * @param {Element} one
 * @param {Element} other
 */
function isSame(one, other) {
  if (one.childNodes.length !== other.childNodes.length) return false;
  const [left, right] = [one, other].map((each) => {
    const copy = /** @type {Element} */ (each.cloneNode(true));
    copy.querySelectorAll("time").forEach((element) => element.replaceChildren());
    copy.querySelectorAll("details").forEach((element) => element.removeAttribute("open"));
    return [...copy.childNodes];
  });
  return left.every((node, place) => node.isEqualNode(right[place]));
}

/** @param {unknown[]} children */
function kept(children) {
  const given = /** @type {any[]} */ (children.flat(Infinity));
  return given.filter((child) => child !== null && child !== undefined && child !== false);
}
