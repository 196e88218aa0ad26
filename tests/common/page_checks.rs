//! What every page has to keep to, measured in the browser: every field has a
//! label, every text enough contrast, nothing sticks out of a narrow window.

use super::browser::Browser;

/// Problems of the page that is shown, each as a text.
const PROBLEMS: &str = r#"
const problems = [];
for (const field of document.querySelectorAll("input, select, textarea, button")) {
  const named = (field.labels && field.labels.length) || field.textContent.trim() || field.getAttribute("aria-label");
  if (!named) problems.push("no label: " + field.outerHTML);
}
for (const picture of document.querySelectorAll("img, svg")) {
  if (!picture.getAttribute("alt") && !picture.getAttribute("aria-label")) problems.push("no text: " + picture.outerHTML.slice(0, 80));
}
if (!document.documentElement.lang) problems.push("no language");
if (document.querySelectorAll("h1").length !== 1) problems.push("not one h1");
if (!document.querySelector("main")) problems.push("no main");
if (!document.title) problems.push("no title");
const ids = [...document.querySelectorAll("[id]")].map((it) => it.id);
if (new Set(ids).size !== ids.length) problems.push("an id is there twice");

const numbers = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
const luminance = (colour) => {
  const [r, g, b] = numbers(colour).slice(0, 3).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    const parts = numbers(colour);
    if (parts.length === 3 || parts[3] > 0) return colour;
  }
  return "rgb(255, 255, 255)";
};
let measured = 0;
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.checkVisibility() || element.closest("noscript, [disabled], svg")) continue;
  const [one, other] = [luminance(getComputedStyle(element).color), luminance(ground(element))];
  const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  measured += 1;
  if (contrast < 4.5) problems.push("contrast " + contrast.toFixed(2) + ": " + element.outerHTML.slice(0, 80));
}
if (measured < 5) problems.push("only " + measured + " texts");
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
if (wide > 0) problems.push("sticks out by " + wide + " px");
return problems;
"#;

/// Fails the test when the page that is shown has a problem.
pub(crate) fn check(browser: &Browser, page: &str) {
    let problems = browser.script(PROBLEMS, &[]);
    assert_eq!(problems, serde_json::json!([]), "{page}");
}
