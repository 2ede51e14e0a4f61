/**
 * Who reads the page: the token that its requests carry, and where it comes from.
 *
 * A token is kept for this tab alone, what renews it not even that long. Who signed in elsewhere is nobody here.
 */

import { now } from "./clock.js";

const KEPT = "prelaunch.token";
const BEGUN = "prelaunch.sign-in";
const SPARE_SECONDS = 60;
const PATIENCE_MILLISECONDS = 20_000;

/** @type {{asksForTokens: boolean, signIn: {domain: string, clientId: string} | null, version: string}} */
let settings = { asksForTokens: false, signIn: null, version: "" };
/** @type {string | null} */
let refreshToken = null;
/** @type {Promise<void> | null} */
let renewing = null;

/** Nobody has signed in, or it was too long ago. */
export class SignedOut extends Error {}

/** The user pool gives out no token for what it was asked with, and never will. */
class Refused extends Error {}

/**
 * Read how the door wants to be asked, and end a sign-in that has come back here.
 *
 * @returns {Promise<void>} It is over when it is known whether there is a token.
 */
export async function openSession() {
  const signal = AbortSignal.timeout(PATIENCE_MILLISECONDS);
  const answer = await fetch(new URL("page/settings.json", document.baseURI), { cache: "no-store", signal }).catch((error) => {
    throw new Error(`prelaunch did not answer (${error.message}).`);
  });
  if (!answer.ok) throw new Error(`prelaunch answered ${answer.status} for the page's settings.`);
  settings = await answer.json();
  const query = new URLSearchParams(location.search);
  if (query.has("code") || query.has("error")) await endSignIn(query);
}

/** Tell the release of the door. */
export function release() {
  return settings.version;
}

/** Tell whether the door asks for tokens, and whether people can sign in to get one. */
export function demands() {
  return { asksForTokens: settings.asksForTokens, canSignIn: settings.signIn !== null };
}

/**
 * Answer the token that requests carry; one that is about to end is renewed where that can be done.
 *
 * @returns {Promise<string | null>} The token; null where none is asked for.
 * @throws {SignedOut} There is none.
 */
export async function currentToken() {
  if (!settings.asksForTokens) return null;
  let held = readHeld();
  if ((held === null || endsSoon(held)) && refreshToken !== null) {
    renewing ??= renew().finally(() => {
      renewing = null;
    });
    await renewing;
    held = readHeld();
  }
  if (held === null) throw new SignedOut("Sign in to go on.");
  return held.token;
}

/** Tell who has signed in, as the token has it: to be shown, for the door alone says who may what. */
export function describeReader() {
  const held = readHeld();
  if (held === null) return null;
  const { claims } = held;
  const name = claims.username ?? claims["cognito:username"] ?? claims.email ?? claims.sub ?? "unknown";
  const groups = [claims["cognito:groups"] ?? []].flat();
  const roles = ["admin", "operator", "reader"].filter((role) => groups.includes(role));
  return { name: String(name), role: roles[0] ?? "no role", canSignOut: settings.signIn !== null };
}

/**
 * Keep a token.
 *
 * @param {string} token What the user pool gave out.
 * @throws {Error} It is no token.
 */
export function keepToken(token) {
  const held = { token: token.trim().replace(/^Bearer /i, "") };
  readClaims(held.token);
  sessionStorage.setItem(KEPT, JSON.stringify(held));
}

/**
 * Forget a token that the door refused; one that took its place meanwhile is kept.
 *
 * @param {string | null} token The one that was refused.
 */
export function forgetToken(token) {
  if (readHeld()?.token === token) sessionStorage.removeItem(KEPT);
}

/** Go to where people sign in; the way back leads to what is shown now. */
export async function beginSignIn() {
  const { domain, clientId } = place();
  if (!crypto.subtle) throw new Error("Browsers sign nobody in over plain HTTP: open this page by https.");
  const verifier = random();
  const state = random();
  sessionStorage.setItem(BEGUN, JSON.stringify({ verifier, state, hash: location.hash }));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const query = new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: ownAddress(),
    scope: "openid",
    state,
    code_challenge: encode(new Uint8Array(digest)),
    code_challenge_method: "S256",
  });
  location.assign(`${domain}/oauth2/authorize?${query}`);
}

/** Leave, here and where people sign in. */
export function signOut() {
  const { domain, clientId } = place();
  sessionStorage.removeItem(KEPT);
  refreshToken = null;
  location.assign(`${domain}/logout?${new URLSearchParams({ client_id: clientId, logout_uri: ownAddress() })}`);
}

/** @param {URLSearchParams} query */
async function endSignIn(query) {
  const begun = JSON.parse(sessionStorage.getItem(BEGUN) ?? "null");
  sessionStorage.removeItem(BEGUN);
  // The code is used up, and must not stay where the browser keeps addresses.
  history.replaceState(null, "", location.pathname + (begun?.hash ?? ""));
  const refused = query.get("error_description") ?? query.get("error");
  if (refused) throw new Error(`Signing in failed: ${refused}.`);
  // Another page may have sent the browser here, with a code of its own: who signed in would then be somebody else.
  if (begun === null || query.get("state") !== begun.state) throw new Error("Signing in was not begun here; begin anew.");
  await fetchTokens({
    grant_type: "authorization_code",
    code: query.get("code") ?? "",
    redirect_uri: ownAddress(),
    code_verifier: begun.verifier,
  });
}

async function renew() {
  try {
    await fetchTokens({ grant_type: "refresh_token", refresh_token: refreshToken ?? "" });
  } catch (error) {
    // The token that is there may still be good, and a pool that is away for a moment is asked again with the next request.
    if (error instanceof Refused) refreshToken = null;
  }
}

/** @param {Object<string, string>} form */
async function fetchTokens(form) {
  const { domain, clientId } = place();
  const body = new URLSearchParams({ ...form, client_id: clientId });
  const request = { method: "POST", body, signal: AbortSignal.timeout(PATIENCE_MILLISECONDS) };
  const answer = await fetch(`${domain}/oauth2/token`, { ...request, credentials: "omit" }).catch((error) => {
    // Browsers do not tell a pool that is away from one whose refusal other origins may not read.
    throw new Error(`Signing in failed: ${domain} did not answer this page (${error.message}). Sign in again.`);
  });
  const told = await answer.json().catch(() => ({}));
  const failed = `Signing in failed: ${told.error ?? `the user pool answered ${answer.status}`}.`;
  if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) throw new Refused(failed);
  if (!answer.ok) throw new Error(failed);
  // API Gateway's authorizer takes ID tokens unless scopes are asked for; prelaunch itself takes both kinds.
  keepToken(told.id_token);
  refreshToken = told.refresh_token ?? refreshToken;
}

function place() {
  if (settings.signIn === null) throw new Error("PRELAUNCH_AUTH_DOMAIN is not set: nobody can sign in here.");
  return settings.signIn;
}

function ownAddress() {
  return location.origin + location.pathname;
}

function readHeld() {
  const kept = sessionStorage.getItem(KEPT);
  if (kept === null) return null;
  const { token } = JSON.parse(kept);
  return { token, claims: readClaims(token) };
}

/** @param {{claims: any}} held */
function endsSoon({ claims }) {
  return typeof claims.exp === "number" && claims.exp - SPARE_SECONDS < now().getTime() / 1000;
}

/** @param {string} token */
function readClaims(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
    return Object(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    throw new Error("This is no token of a user pool: it has three parts with dots between them.");
  }
}

function random() {
  return encode(crypto.getRandomValues(new Uint8Array(32)));
}

/** @param {Uint8Array} bytes */
function encode(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
