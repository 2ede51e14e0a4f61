/**
 * A question before something is done.
 *
 * Its request has one name for as long as nothing in it is changed: whoever repeats it after an answer was lost does
 * not do it twice.
 */

import { newKey, Problem } from "./api.js";
import { fill, make } from "./dom.js";
import { askForToken, isSignedOut } from "./signing.js";

/**
 * Ask, and do it.
 *
 * @param {{title: string, content: unknown, act: string, isGrave?: () => boolean, name?: () => string,
 *     perform: (key: string, form: FormData) => Promise<void>}} question act: what the button says; name: the same, by
 *     what is chosen; isGrave: whether what is chosen is done in earnest.
 */
export function askFirst({ title, content, act, isGrave = () => false, name = () => act, perform }) {
  let key = newKey();
  const told = make("div", { role: "alert" });
  const go = make("button", { class: "act" }, name());
  const cancel = make("button", { type: "button" }, "Cancel");
  const form = make("form", { method: "dialog" }, make("h2", {}, title), content, make("menu", {}, cancel, go));
  const dialog = make("dialog", {}, form, told);
  const reflect = () => {
    go.textContent = name();
    go.classList.toggle("grave", isGrave());
  };
  form.addEventListener("input", () => {
    key = newKey();
    reflect();
  });
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    go.disabled = true;
    fill(told);
    try {
      await perform(key, new FormData(form));
      dialog.close();
    } catch (error) {
      fill(told, explain(error), isSignedOut(error) ? askForToken(() => fill(told)) : null);
    } finally {
      go.disabled = false;
    }
  });
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  reflect();
  dialog.showModal();
}

/**
 * Show why something was not done: all of it, each part by its source server.
 *
 * @param {unknown} error What was raised.
 * @returns {any} The element.
 */
export function explain(error) {
  if (!(error instanceof Problem)) return make("p", { class: "failed" }, /** @type {Error} */ (error).message);
  return make(
    "div",
    { class: "failed" },
    make("p", {}, error.message),
    make("ul", {}, error.errors.map((each) => make("li", {}, sentence(each)))),
    error.requestId ? make("p", { class: "aside" }, `${error.code}, request ${error.requestId}`) : null,
  );
}

/** @param {{sourceServerId: string | null, pointer: string, message: string}} found */
function sentence({ sourceServerId, pointer, message }) {
  return [sourceServerId, pointer, message].filter(Boolean).join(": ");
}
