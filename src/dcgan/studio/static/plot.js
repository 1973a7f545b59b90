// What both interactive figures share: elements, controls, and the language of the page. No library, no network.
"use strict";

const dcganFigures = {
  builders: {},
  get korean() {
    return document.documentElement.lang === "ko";
  },
};

/** Return the English or the Korean text. */
dcganFigures.text = (english, korean) => (dcganFigures.korean ? korean : english);

/** Return a new element with attributes and children. */
dcganFigures.element = (name, attributes = {}, ...children) => {
  const svg = ["svg", "rect", "text", "g"].includes(name);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

/** Return a labeled slider; `onChange` is called with its number. */
dcganFigures.slider = (name, label, [low, high], value, onChange) => {
  const { element } = dcganFigures;
  const output = element("output", {}, String(value));
  const input = element("input", { type: "range", name, min: low, max: high, step: 1, value });
  input.addEventListener("input", () => {
    output.textContent = input.value;
    onChange(Number(input.value));
  });
  return element("label", {}, element("span", {}, label, " ", output), input);
};

/** Return a labeled choice of [value, label] pairs. */
dcganFigures.choice = (name, label, options, onChange) => {
  const { element } = dcganFigures;
  const select = element("select", { name }, ...options.map(([value, words]) => element("option", { value }, words)));
  select.addEventListener("change", () => onChange(select.value));
  return element("label", {}, element("span", {}, label), select);
};

/** Return a button. */
dcganFigures.button = (name, label, onClick) => {
  const node = dcganFigures.element("button", { type: "button", name, class: "md-button" }, label);
  node.addEventListener("click", onClick);
  return node;
};

/** Build a figure in the place of each element with its name. */
dcganFigures.register = (name, build) => {
  dcganFigures.builders[name] = build; // for a page that makes its elements later
  document.addEventListener("DOMContentLoaded", () => {
    for (const root of document.querySelectorAll(`[data-figure="${name}"]`)) {
      root.replaceChildren();
      build(root);
    }
  });
};
