// Before the first paint, so that the page does not flash in the wrong colours.
try {
  const theme = localStorage.getItem("rclonepool.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden: then the system's choice holds.
}
