// What is entered while the builder is drawn again is kept: the answer knows only what was sent.
"use strict";

let sent = null;
let entered = [];

const fieldOf = (form, name) => form?.elements.namedItem(name);
const factAt = (form, name) => fieldOf(form, `fact:${name.split(":")[1]}`)?.value;

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target.id !== "builder") return;
  // These move rows that are known by their place only: a field of that name is another row's afterwards.
  const moves = /^(remove|up) (message|subject|variant)/.test(event.detail.elt.value);
  sent = moves ? null : new FormData(document.getElementById("editor-form"));
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "builder" || !sent) return;
  const form = document.getElementById("editor-form");
  entered = [...new FormData(form)]
    .filter(([name, value]) => sent.has(name) && sent.get(name) !== value)
    .map(([name, value]) => ({ name, value, fact: sent.get(`fact:${name.split(":")[1]}`) ?? undefined }));
});

document.addEventListener("htmx:afterSettle", () => {
  const form = document.getElementById("editor-form");
  for (const { name, value, fact } of entered.splice(0)) {
    const field = fieldOf(form, name);
    // A button may have moved the parts: then the field of that name is another condition's.
    if (!field || (!name.startsWith("fact:") && factAt(form, name) !== fact)) continue;
    field.value = value;
    field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input", { bubbles: true }));
  }
});
