// Keeps parts of a page fresh while it is looked at. Without it, the reader loads the page again.
// Every part that may change carries data-fresh="name"; its words are replaced when they have changed.
// The tag of this script says from which position the page was drawn, and, where something is about to happen
// by the clock alone, how often to look besides.
(() => {
  const SLOWLY = 20;
  const GATHER_MILLISECONDS = 300;
  const own = document.currentScript;
  let shown = Number(own.dataset.position);
  let running = true;
  let source = null;
  let waiting = null;
  let slow = null;
  const control = document.querySelector("[data-fresh-control]");
  const say = () => {
    if (!control) return;
    control.hidden = false;
    control.textContent = running ? control.dataset.stop : control.dataset.go;
  };
  const replace = (fresh) => {
    for (const part of document.querySelectorAll("[data-fresh]")) {
      const other = fresh.querySelector(`[data-fresh="${part.dataset.fresh}"]`);
      const inUse = part.contains(document.activeElement) && part !== document.activeElement;
      if (other && !inUse && part.innerHTML !== other.innerHTML) part.innerHTML = other.innerHTML;
    }
    const tag = fresh.querySelector("script[data-position]");
    if (tag) shown = Math.max(shown, Number(tag.dataset.position));
  };
  const refresh = async () => {
    waiting = null;
    try {
      // The header tells this from somebody who looks at the page.
      const headers = { Accept: "text/html", "Mandate-Refresh": "1" };
      const answer = await fetch(location.href, { headers });
      if (answer.ok && !answer.redirected) {
        replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
    } catch { /* The site is away for a moment: it is tried again with the next news. */ }
  };
  const soon = () => { waiting ??= setTimeout(refresh, GATHER_MILLISECONDS); };
  const stop = () => {
    source?.close();
    source = null;
    clearInterval(slow);
  };
  const follow = () => {
    stop();
    if (!running || document.hidden) return;
    const every = Number(own.dataset.every);
    if (every) slow = setInterval(soon, every * 1000);
    source = new EventSource(`/live?after=${shown}`);
    source.onmessage = (news) => { if (Number(news.data) > shown) soon(); };
    source.onerror = () => {
      // A stream that ended is opened again by the browser itself; one that was refused is not.
      if (source.readyState !== EventSource.CLOSED) return;
      clearInterval(slow);
      slow = setInterval(soon, (every || SLOWLY) * 1000);
    };
  };
  if (control) {
    control.addEventListener("click", () => { running = !running; say(); follow(); });
    say();
  }
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
  follow();
})();
