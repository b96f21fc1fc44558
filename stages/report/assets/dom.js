"use strict";
// Everything from the data is put on the page as text (textContent), never as markup.
const $ = (id) => document.getElementById(id);

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}
const chip = (text, kind) => el("span", { class: "chip " + (kind || "") }, String(text));
const key = (name) => el("kbd", {}, name);
const count = (n) => n.toLocaleString("en-US");
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many || one + "s"}`;
function figure(value) {
  if (value === null || value === undefined) return "unknown";
  return Number.isInteger(value) ? count(value) : value.toFixed(3);
}
function tableOf(caption, heads, rows) {
  const th = heads.map((h) => el("th", { class: h.startsWith("#") ? "n" : "", scope: "col" }, h.replace("#", "")));
  return el(
    "div",
    { class: "scroll" },
    el("table", { "aria-label": caption }, el("thead", {}, el("tr", {}, th)), el("tbody", {}, rows)),
  );
}
function kept(name, fallback) {
  // a browser may refuse to keep things for a file
  try {
    return localStorage.getItem(name) ?? fallback;
  } catch {
    return fallback;
  }
}
function keep(name, value) {
  try {
    localStorage.setItem(name, value);
    return true;
  } catch {
    return false;
  }
}
