// Asking the server again and again, while the page is visible and until it is left.
//
// Nothing stays open between two questions: a browser opens six connections to a host, so six open streams would shut
// out every further tab. An answer that has not changed is an empty one (304), which costs the server next to nothing.

import { apiUrl, checkResponse } from "./api.js";

const MAX_RETRY_MS = 15_000;
const HIDDEN_INTERVAL_MS = 10_000;

/**
 * Ask for a route now and every `intervalMs`, until `signal` aborts.
 *
 * onContent: called with the content, at first and whenever it has changed.
 * onError: called with each error, and with null once the server answers again. If it returns true, the asking ends.
 * isWaiting: whether a page that is hidden goes on asking, seldom, because the visitor waits for something.
 * Returns a function that asks at once.
 */
export function poll(route, { intervalMs, signal, onContent, onError, isWaiting = () => false }) {
  let [etag, failureCount, wake] = ["", 0, () => {}];

  /** Return a promise that is fulfilled after a time, or as soon as `wake` is called. */
  const sleep = (ms) =>
    new Promise((resolve) => {
      const timer = ms < Infinity ? setTimeout(resolve, ms) : 0;
      wake = () => (clearTimeout(timer), resolve());
    });

  async function ask() {
    const headers = etag ? { "if-none-match": etag } : {};
    const response = await fetch(apiUrl(route), { headers, signal, cache: "no-store" });
    if (response.status === 304) return;
    const content = await (await checkResponse(response)).json();
    if (signal.aborted) return;
    onContent(content);
    etag = response.headers.get("etag") || "";
  }

  async function run() {
    while (!signal.aborted) {
      if (document.hidden) {
        await sleep(isWaiting() ? HIDDEN_INTERVAL_MS : Infinity);
        if (document.hidden && !isWaiting()) continue;
        if (signal.aborted) return;
      }
      try {
        await ask();
        if (failureCount && !signal.aborted) onError(null);
        failureCount = 0;
      } catch (error) {
        if (signal.aborted || onError(error)) return;
        failureCount += 1;
      }
      if (!signal.aborted) await sleep(Math.min(intervalMs * 2 ** failureCount, MAX_RETRY_MS));
    }
  }

  signal.addEventListener("abort", () => wake());
  document.addEventListener("visibilitychange", () => wake(), { signal });
  run();
  return () => wake();
}
