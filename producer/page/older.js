/** Lists whose newest entries are shown first, and older ones when somebody asks for them. */

import { button } from "./dom.js";

const A_PAGE = 50;
const MOST = 1000;

/**
 * Begin such a list.
 *
 * @param {() => void} again Reads the list anew.
 * @returns {{limit: () => number, more: (nextToken: string | undefined) => any}} limit: how many are to be read; more:
 *     the button that shows older ones, null where there are none, or no more at once.
 */
export function makeOlder(again) {
  let limit = A_PAGE;
  const grow = () => {
    limit = Math.min(limit + A_PAGE, MOST);
    again();
  };
  return {
    limit: () => limit,
    more: (nextToken) => (nextToken && limit < MOST ? button("Show older ones", grow) : null),
  };
}
