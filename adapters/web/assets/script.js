"use strict";
for (const button of document.querySelectorAll("button.reveal")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    for (const input of button.closest("fieldset").querySelectorAll("input")) input.type = shown ? "text" : "password";
  });
}
for (const again of document.querySelectorAll("input[data-same-as]")) {
  const first = document.getElementById(again.dataset.sameAs);
  const compare = () => again.setCustomValidity(again.value === first.value ? "" : "The two are not the same.");
  first.addEventListener("input", compare);
  again.addEventListener("input", compare);
}
for (const file of document.querySelectorAll("input[type=file]")) {
  file.addEventListener("change", () => {
    const size = file.files.length ? file.files[0].size : 1;
    file.setCustomValidity(size === 0 ? "This file is empty." : size > Number(file.dataset.max) ? "This file is too large." : "");
  });
}
const form = document.querySelector("form");
if (form) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault(); // a second click would only be told that the page is used
    sent = true;
    const button = form.querySelector("button[type=submit]");
    button.setAttribute("aria-disabled", "true");
    button.textContent = "Sent";
    // A browser remembers what was typed as text.
    for (const input of form.querySelectorAll("fieldset input[type=text]")) input.type = "password";
  });
}
const copy = document.getElementById("copy");
if (copy && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const said = document.getElementById("copied");
    try {
      await navigator.clipboard.writeText(document.getElementById("secret").textContent);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "It could not be copied: select it and copy it by hand.";
    }
  });
}
