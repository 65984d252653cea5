// Pan and zoom for a map. Without it the map scrolls, and the table below says the same.
"use strict";
for (const frame of document.querySelectorAll("[data-map]")) {
  const svg = frame.querySelector("svg");
  const [width, height] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
  const help = document.querySelector("[data-map-help]");
  if (help) help.hidden = false;
  let scale = 1;
  const zoom = (to, x, y) => {
    const next = Math.min(4, Math.max(0.05, to));
    const left = (frame.scrollLeft + x) * (next / scale) - x;
    const top = (frame.scrollTop + y) * (next / scale) - y;
    scale = next;
    svg.setAttribute("width", width * scale);
    svg.setAttribute("height", height * scale);
    frame.scrollTo(left, top);
  };
  const steps = { "+": 1.25, "-": 1 / 1.25 };
  const step = (key) => (key === "0" ? whole() : zoom(scale * steps[key], frame.clientWidth / 2, frame.clientHeight / 2));
  for (const button of document.querySelectorAll("[data-map-zoom]")) {
    button.addEventListener("click", () => step(button.dataset.mapZoom));
  }
  const whole = () => zoom(Math.min(1, frame.clientWidth / width, (0.8 * innerHeight) / height), 0, 0);
  frame.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = frame.getBoundingClientRect();
    zoom(scale * (event.deltaY < 0 ? 1.15 : 1 / 1.15), event.clientX - box.x, event.clientY - box.y);
  }, { passive: false });
  frame.addEventListener("keydown", (event) => {
    if (["+", "=", "-", "0"].includes(event.key)) step(event.key === "=" ? "+" : event.key);
  });
  let from = null;
  frame.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType === "mouse") {
      from = { x: event.clientX + frame.scrollLeft, y: event.clientY + frame.scrollTop, moved: false };
    }
  });
  addEventListener("pointermove", (event) => {
    if (!from) return;
    const [left, top] = [from.x - event.clientX, from.y - event.clientY];
    if (Math.abs(left - frame.scrollLeft) + Math.abs(top - frame.scrollTop) > 4) from.moved = true;
    if (from.moved) frame.scrollTo(left, top);
  });
  addEventListener("pointerup", () => setTimeout(() => { from = null; }, 0));
  frame.addEventListener("click", (event) => { if (from && from.moved) event.preventDefault(); }, true);
  frame.addEventListener("dragstart", (event) => event.preventDefault());
  whole();
  if (scale < 0.5) zoom(0.5, 0, 0); // a phone begins where names can be read
}
