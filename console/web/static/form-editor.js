// What is done while the builder is drawn again is kept: the answer knows only what was sent.
"use strict";

let drawing = false;
let moved = false;
let sent = null;
let entered = [];
let pressed = null;
let held = null;

const editor = () => document.getElementById("editor-form");
const fieldOf = (form, name) => form?.elements.namedItem(name);
const factAt = (form, name) => fieldOf(form, `fact:${name.split(":")[1]}`)?.value;
const buttonAt = (element) => element.closest?.("#editor-form button[hx-post]");
const isSame = (button, other) => button.name === other.name && button.value === other.value;

// Where parts have moved, a button of the same name belongs to another part.
const press = (button) => {
  const drawn = moved ? null : [...editor().elements].find((each) => buttonAt(each) && isSame(each, button));
  drawn?.click();
};

// A count of parts that are drawn again meanwhile has no place to say what is wrong with each.
const watchCount = () => {
  const count = document.querySelector("#builder .count");
  count?.addEventListener("htmx:beforeSwap", (event) => {
    if (!count.isConnected) event.detail.shouldSwap = false;
  });
};
watchCount();

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target.id !== "builder") return;
  const asked = buttonAt(event.detail.elt)?.value ?? "";
  drawing = true;
  moved = /^(remove|up|down|out|group|json)\b/.test(asked);
  // These move rows that are known by their place only: a field of that name is another row's afterwards.
  sent = /^(remove|up) (message|subject|variant)/.test(asked) ? null : new FormData(editor());
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "builder" || !sent) return;
  entered = [...new FormData(editor())]
    .filter(([name, value]) => sent.has(name) && sent.get(name) !== value)
    .map(([name, value]) => ({ name, value, fact: sent.get(`fact:${name.split(":")[1]}`) ?? undefined }));
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.target.id === "builder" && !event.detail.successful) drawing = false;
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "builder") return;
  drawing = false;
  watchCount();
  const form = editor();
  for (const { name, value, fact } of entered.splice(0)) {
    const field = fieldOf(form, name);
    // A button may have moved the parts: then the field of that name is another condition's.
    if (!field || (!name.startsWith("fact:") && factAt(form, name) !== fact)) continue;
    field.value = value;
    field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input", { bubbles: true }));
  }
  if (drawing || !pressed) return;
  press(pressed);
  pressed = null;
});

// htmx forgets what an element asks for that is drawn again meanwhile.
document.addEventListener("click", (event) => {
  const button = buttonAt(event.target);
  if (!button || !drawing) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  pressed = button;
}, { capture: true });

// A browser makes no click of a button that is drawn again while the mouse is down.
document.addEventListener("pointerdown", (event) => {
  held = buttonAt(event.target);
});

document.addEventListener("pointerup", (event) => {
  const button = buttonAt(event.target);
  if (button && held && !held.isConnected && isSame(button, held)) drawing ? (pressed = button) : press(button);
  held = null;
});
