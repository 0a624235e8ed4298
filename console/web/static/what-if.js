// Sliders next to the number fields of a what-if: each writes its field, which is what the form sends.
"use strict";

for (const slider of document.querySelectorAll("input[data-slider]")) {
  const field = document.getElementById(slider.dataset.slider);
  const today = slider.value;
  slider.hidden = false;
  slider.addEventListener("input", () => {
    // Where it stands today nothing is changed: today's value may lie between two steps.
    field.value = slider.value === today ? "" : slider.value;
  });
  field.addEventListener("input", () => {
    slider.value = field.value === "" ? today : field.value;
  });
}
