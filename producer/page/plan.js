/** What an apply would change, by reading DRS and EC2 now; nothing is written. */

import { ask, path } from "./api.js";
import { changed, reason } from "./changes.js";
import { now } from "./clock.js";
import { explain } from "./dialog.js";
import { button, fill, make, table } from "./dom.js";
import { moment } from "./words.js";

const A_PAGE = 100;

/**
 * Show a group's plan, once somebody asks for it: it takes a read of DRS for each source server.
 *
 * @param {HTMLElement} place Where.
 * @param {string} groupId Whose.
 */
export function showPlan(place, groupId) {
  const shown = make("div");
  const go = button("Read DRS and EC2 now", () => void read());
  place.append(make("p", {}, "What an apply of all members would change, as things stand. Nothing is written. ", go), shown);

  /** @param {string} [nextToken] */
  async function read(nextToken) {
    go.disabled = true;
    const askedAt = now().toISOString();
    fill(shown, make("p", { role: "status" }, "Reading …"));
    try {
      const query = { limit: A_PAGE, nextToken };
      const plan = await ask("GET", path("protection-groups", groupId, "launch-config-plan"), { query });
      fill(shown, make("p", {}, "Read at ", moment(askedAt), "."), describe(plan), plan.nextToken ? button("Next page", () => void read(plan.nextToken)) : null);
    } catch (error) {
      fill(shown, explain(error));
    } finally {
      go.disabled = false;
    }
  }

  return { async show() {} };
}

/** @param {any} plan */
function describe({ serverPlans }) {
  const all = Object.entries(serverPlans);
  const open = all.filter(([, { steps, errors }]) => steps.length > 0 || errors.length > 0);
  return [
    make("p", { role: "status" }, `${all.length - open.length} of ${all.length} are as they are wanted.`),
    open.length === 0
      ? null
      : table(
          ["Source server", "What would be done", "What would be changed"],
          open.map(([id, { steps, errors }]) => [
            make("code", {}, id),
            [steps.map((/** @type {any} */ { step }) => make("div", {}, step)), errors.map(reason)],
            steps.flatMap((/** @type {any} */ { fields }) => fields.map(changed)),
          ]),
          "",
        ),
  ];
}
