// Adds decisions and alerts to the lists of the page "Live" as they come.
"use strict";

const SHOWN = 50;
const OUTCOMES = { fired: "contacted", control: "held out", withheld: "withheld" };
const streams = document.querySelectorAll("[data-stream]");

function part(name, text, kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function customer(id) {
  const link = part("a", id);
  link.href = `/customers/${encodeURIComponent(id)}`;
  return link;
}

const describe = {
  decision: (told) => [
    part("span", OUTCOMES[told.outcome] ?? told.outcome, `badge ${told.outcome}`),
    part("strong", told.campaign), customer(told.customer_id), part("span", told.why),
  ],
  hot_lead: (told) => [part("span", "hot lead", "badge good"), part("strong", told.lead_id), part("span", `score ${told.score}`)],
  churn_warning: (told) => [
    part("span", "churn risk high", "badge bad"), customer(told.customer_id),
    part("span", told.churn_probability === null ? "" : `probability ${Math.round(100 * told.churn_probability)} %`),
  ],
  campaign_stopped: (told) => [
    part("span", "campaign stopped", "badge bad"), part("strong", told.campaign), part("span", `by ${told.by}: ${told.reason}`),
  ],
};

function add(list, kind, told) {
  const item = document.createElement("li");
  const moment = part("time", told.at.slice(0, 19).replace("T", " "), "hint");
  moment.dateTime = told.at;
  for (const each of [...describe[kind](told), moment]) item.append(each, " ");
  list.querySelector(".none")?.remove();
  list.prepend(item);
  while (list.children.length > SHOWN) list.lastElementChild.remove();
}

for (const list of streams) {
  const source = new EventSource(list.dataset.stream);
  const said = document.getElementById("listening");
  source.onopen = () => { said.textContent = "New ones appear as they come."; };
  source.onerror = () => { said.textContent = "The stream is interrupted; it comes back by itself."; };
  for (const kind of Object.keys(describe)) {
    source.addEventListener(kind, (event) => add(list, kind, JSON.parse(event.data)));
  }
  addEventListener("pagehide", () => source.close());
}
