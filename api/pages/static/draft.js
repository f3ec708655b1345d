// Saves what is typed into a questionnaire while it is typed. Without it, the button saves.
// The answer to a saving holds the parts of the page that speak of the draft; nothing else is touched.
(() => {
  const PAUSE = 1500, AGAIN = 8000, LEAVING_BYTES = 60000;
  const form = document.querySelector("form[data-draft]");
  if (!form) return;
  let unsaved = false, saving = false, leaving = false, closed = false, timer;

  const later = (milliseconds) => {
    clearTimeout(timer);
    timer = setTimeout(save, milliseconds);
  };
  const show = (html) => {
    const answer = new DOMParser().parseFromString(html, "text/html");
    const parts = [...answer.querySelectorAll("[data-part]")];
    for (const part of parts) {
      const old = document.querySelector(`[data-part="${part.dataset.part}"]`);
      if (old && !old.contains(document.activeElement)) old.innerHTML = part.innerHTML;
    }
    return parts.length > 0;
  };
  const fail = () => {
    const state = document.querySelector('[data-part="state"]');
    const said = document.createElement("p");
    said.className = "fault";
    said.textContent = form.dataset.unsaved;
    if (state.textContent.trim() !== said.textContent) state.replaceChildren(said);
  };
  const save = async () => {
    if (saving || !unsaved || closed) return;
    saving = true;
    unsaved = false;
    const body = new URLSearchParams(new FormData(form));
    const keepalive = document.hidden && body.toString().length < LEAVING_BYTES;
    let done = false;
    try {
      const answer = await fetch(form.dataset.draft, { method: "POST", body, keepalive });
      done = [200, 409, 422].includes(answer.status) && show(await answer.text());
      closed = done && answer.status === 409;
    } catch { /* The site cannot be reached: what was typed stays on the page, and is tried again. */ }
    saving = false;
    if (closed) unsaved = true;
    if (done) {
      if (unsaved) later(PAUSE);
    } else {
      unsaved = true;
      fail();
      later(AGAIN);
    }
  };

  form.addEventListener("input", () => { unsaved = true; later(PAUSE); });
  form.addEventListener("change", () => { if (unsaved) later(0); });
  form.addEventListener("submit", () => { leaving = true; clearTimeout(timer); });
  document.addEventListener("visibilitychange", () => { if (document.hidden) save(); });
  window.addEventListener("online", save);
  window.addEventListener("pageshow", () => { leaving = false; });
  window.addEventListener("beforeunload", (event) => { if ((unsaved || saving) && !leaving) event.preventDefault(); });
})();
