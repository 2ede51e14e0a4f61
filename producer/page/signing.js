/** What a reader without a token is asked: to sign in where that can be done, else for a token. */

import { Problem } from "./api.js";
import { button, fill, make } from "./dom.js";
import { beginSignIn, demands, keepToken, SignedOut } from "./session.js";

/**
 * Tell whether a request failed because its reader has no token, or one that the door takes no more.
 *
 * @param {unknown} error What was raised.
 */
export function isSignedOut(error) {
  return error instanceof SignedOut || (error instanceof Problem && error.status === 401);
}

/**
 * Make the question.
 *
 * @param {() => void} done What follows once there is a token.
 * @returns {any} The element.
 */
export function askForToken(done) {
  const told = make("p", { class: "failed", role: "alert" });
  /** @param {unknown} error */
  const tell = (error) => fill(told, /** @type {Error} */ (error).message);
  if (demands().canSignIn) {
    return make("div", {}, button("Sign in", () => void beginSignIn().catch(tell)), told);
  }
  const input = make("input", { type: "password", name: "token", autocomplete: "off", required: true, "data-key": "token" });
  /** @param {Event} event */
  const take = (event) => {
    event.preventDefault();
    try {
      keepToken(input.value);
      done();
    } catch (error) {
      tell(error);
    }
  };
  return make(
    "form",
    { onsubmit: take },
    make("label", {}, "A token of the user pool (PRELAUNCH_AUTH_DOMAIN is not set, so nobody can sign in here): ", input),
    make("button", {}, "Use it"),
    told,
  );
}
