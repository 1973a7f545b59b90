// "What is this?" beside a curve or a figure: the answer in place, and a link to the page Learn.

import { h } from "./web/play.js";
import { t } from "./web/strings.js";
import { topics } from "./topics.js";

/** Make the answer for topics, closed at first. */
export function makeHelp(...ids) {
  const chosen = topics().filter(({ id }) => ids.includes(id));
  const label = `${t("whatIsThis")} ${chosen.map(({ title }) => title).join(", ")}`;
  const makeLink = ({ id, title }) => h("a", { href: `#/learn/${id}`, "aria-label": `${t("learnMore")}: ${title}` }, t("learnMore"));
  const answers = chosen.map((topic) => h("p", {}, topic.text, " ", makeLink(topic)));
  return h("details", { class: "help" }, h("summary", { "aria-label": label }, t("whatIsThis")), ...answers);
}
