"use strict";
for (const button of document.querySelectorAll("button.reveal")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    for (const input of button.closest("fieldset").querySelectorAll("input")) input.type = shown ? "text" : "password";
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
