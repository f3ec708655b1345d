// Keeps parts of a page fresh while it is looked at. Without it, the reader loads the page again.
// Every part that may change carries data-fresh="name"; its words are replaced when they have changed.
(() => {
  const SECONDS = 2;
  let running = true;
  const control = document.querySelector("[data-fresh-control]");
  const say = () => {
    if (!control) return;
    control.hidden = false;
    control.textContent = running ? "Stop following" : "Follow again";
  };
  if (control) {
    control.addEventListener("click", () => { running = !running; say(); });
    say();
  }
  const refresh = async () => {
    if (running && !document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        if (answer.ok) {
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
          for (const part of document.querySelectorAll("[data-fresh]")) {
            const other = fresh.querySelector(`[data-fresh="${part.dataset.fresh}"]`);
            const inUse = part.contains(document.activeElement) && part !== document.activeElement;
            if (other && !inUse && part.innerHTML !== other.innerHTML) part.innerHTML = other.innerHTML;
          }
          if (!fresh.querySelector("script[src*='fresh.js']")) running = false;
          say();
        }
      } catch { /* The site is away for a moment: try again. */ }
    }
    setTimeout(refresh, SECONDS * 1000);
  };
  setTimeout(refresh, SECONDS * 1000);
})();
