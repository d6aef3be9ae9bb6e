// Runs before the first paint, so that a page never flashes in the other theme. Without a choice the system's theme stands.
{
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
}
