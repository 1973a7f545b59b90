// The Markdown of the learning pages as elements: headings, paragraphs, lists, tables, code, pictures, links, emphasis.
//
// Nothing becomes HTML that was not written here, so a page cannot run anything.

import { h } from "./web/play.js";

const BLOCK_START = /^(#{1,4} |```|- |\d+\. |\||<div )/;
const INLINE = /`([^`]+)`|!\[([^\]]*)\]\(([^)]+)\)|\[((?:[^\]`]|`[^`]*`)+)\]\(([^)]+)\)|\*\*(.+?)\*\*|(?<!\w)\*(?=\S)(.+?)\*(?!\w)/s;
const INDENT = "    "; // of code without marks
const FIGURE = /data-figure="([\w-]+)"/;

/** Return the nodes of a line of text. `links` says what a link and a picture become, see `renderMarkdown`. */
function renderInline(text, links) {
  const found = INLINE.exec(text);
  if (!found) return text ? [text] : [];
  const [all, code, alt, src, linkText, target, strong, emphasis] = found;
  const inner = (content) => renderInline(content, links);
  let node;
  if (code !== undefined) node = h("code", {}, code);
  else if (src !== undefined) node = h("img", { alt, src: links.toPicture(src), loading: "lazy" });
  else if (target !== undefined) {
    const address = links.toPage(target);
    node = address ? h("a", { href: address }, ...inner(linkText)) : h("span", {}, ...inner(linkText));
  } else node = h(strong === undefined ? "em" : "strong", {}, ...inner(strong ?? emphasis));
  return [...inner(text.slice(0, found.index)), node, ...inner(text.slice(found.index + all.length))];
}

function renderTable(lines, links) {
  const cells = (line, tag) => line.split("|").slice(1, -1).map((cell) => h(tag, {}, ...renderInline(cell.trim(), links)));
  const [head, , ...rows] = lines;
  const body = rows.map((row) => h("tr", {}, ...cells(row, "td")));
  return h("div", { class: "scroll", tabindex: 0 }, h("table", {}, h("thead", {}, h("tr", {}, ...cells(head, "th"))), h("tbody", {}, ...body)));
}

/** Return the items of a list; lines without a mark continue the item before them. */
function renderList(lines, links) {
  const items = [];
  for (const line of lines) {
    if (/^(- |\d+\. )/.test(line)) items.push(line.replace(/^(- |\d+\. )/, ""));
    else items.push(`${items.pop()} ${line.trim()}`);
  }
  return h(lines[0].startsWith("- ") ? "ul" : "ol", {}, ...items.map((item) => h("li", {}, ...renderInline(item, links))));
}

/**
 * Return the elements of a page.
 *
 * links: toPage(target) returns the address of a link, or null if it leads nowhere here; toPicture(source) that of a
 * picture. A `<div data-figure="NAME">` becomes an empty element of the same name.
 */
export function renderMarkdown(text, links) {
  const lines = text.replace(/<!--.*?-->/gs, "").split("\n");
  const elements = [];
  const takeWhile = (isPart) => {
    let end = 1;
    while (end < lines.length && isPart(lines[end])) end += 1;
    return lines.splice(0, end);
  };
  while (lines.length) {
    const line = lines[0];
    if (!line.trim()) lines.shift();
    else if (line.startsWith("```")) {
      const code = takeWhile((other) => !other.startsWith("```"));
      lines.shift();
      elements.push(h("pre", { tabindex: 0 }, h("code", {}, code.slice(1).join("\n"))));
    } else if (line.startsWith(INDENT)) {
      const code = takeWhile((other) => other.startsWith(INDENT));
      elements.push(h("pre", { tabindex: 0 }, h("code", {}, code.map((part) => part.slice(INDENT.length)).join("\n"))));
    } else if (line.startsWith("#")) {
      const [, marks, title] = /^(#+) (.*)$/.exec(lines.shift());
      elements.push(h(`h${Math.min(marks.length + 1, 6)}`, {}, ...renderInline(title, links)));
    } else if (line.startsWith("|")) elements.push(renderTable(takeWhile((other) => other.startsWith("|")), links));
    else if (line.startsWith("<div ")) elements.push(h("div", { class: "interactive", "data-figure": FIGURE.exec(lines.shift())?.[1] }));
    else if (/^(- |\d+\. )/.test(line)) elements.push(renderList(takeWhile((other) => other.trim() && !/^(#|```|\|)/.test(other)), links));
    else elements.push(h("p", {}, ...renderInline(takeWhile((other) => other.trim() && !BLOCK_START.test(other)).join(" "), links)));
  }
  return elements;
}
