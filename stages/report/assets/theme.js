// ---- light, dark, or as the system is
const THEMES = ["system", "light", "dark"];
function setTheme(theme) {
  const wanted = THEMES.includes(theme) ? theme : "system";
  document.documentElement.dataset.theme = wanted;
  $("theme").textContent = { system: "Auto", light: "Light", dark: "Dark" }[wanted];
  $("theme").setAttribute("aria-label", `Colours: ${wanted}. Change`);
  keep("contextrl-theme", wanted);
}
function nextTheme() {
  setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
}
