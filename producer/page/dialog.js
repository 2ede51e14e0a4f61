/**
 * A question before something is done.
 *
 * What is asked for in it has one name, also where somebody chose something else in between: whoever repeats it after an
 * answer was lost does not do it twice. Until there is an answer nobody can leave it, and think that nothing was done.
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
  /** @type {Map<string, string>} */
  const keys = new Map();
  let isAsking = false;
  const told = make("div", { role: "alert" });
  const go = make("button", { class: "act" }, name());
  const cancel = make("button", { type: "button" }, "Cancel");
  const form = make("form", { method: "dialog" }, make("h2", {}, title), content, make("menu", {}, cancel, go));
  const waiting = make("p", { role: "status" });
  const dialog = make("dialog", {}, form, waiting, told);
  const reflect = () => {
    go.textContent = name();
    go.classList.toggle("grave", isGrave());
    form.inert = go.disabled = isAsking;
    fill(waiting, isAsking ? "Waiting for the answer …" : null);
  };
  /** @param {FormData} chosen */
  const keyOf = (chosen) => {
    const said = JSON.stringify([...chosen]);
    const key = keys.get(said) ?? newKey();
    keys.set(said, key);
    return key;
  };
  const leave = () => {
    if (!isAsking) dialog.close();
  };
  form.addEventListener("input", reflect);
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (isAsking) return;
    const chosen = new FormData(form);
    isAsking = true;
    reflect();
    fill(told);
    let failure;
    try {
      await perform(keyOf(chosen), chosen);
    } catch (error) {
      failure = error;
    }
    isAsking = false;
    reflect();
    if (failure === undefined) {
      leave();
      return;
    }
    fill(told, explain(failure), isSignedOut(failure) ? askForToken(() => fill(told)) : null);
    go.focus();
  });
  dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    // A key that is held down on what opened this would press its button too; in earnest only the button itself is meant.
    const isMeant = !event.repeat && !(isGrave() && event.target instanceof HTMLInputElement);
    if (event.key === "Enter" && !isMeant) event.preventDefault();
  });
  go.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    // The second half of a double click was meant for what lay there before.
    if (event.detail > 1) event.preventDefault();
  });
  cancel.addEventListener("click", leave);
  addEventListener("hashchange", leave);
  dialog.addEventListener("close", () => {
    // Browsers let nobody keep a second Escape from closing it.
    if (isAsking) {
      dialog.showModal();
      return;
    }
    removeEventListener("hashchange", leave);
    dialog.remove();
  });
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
