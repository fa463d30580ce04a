"use strict";
// Turns the column of slices into one picture with a slider; without it the column stays.
for (const stack of document.querySelectorAll(".stack")) {
  const slices = [...stack.querySelectorAll(".slice")];
  const slider = stack.querySelector("input[type=range]");
  const film = stack.querySelector(".film");
  let shown = -1;
  const show = (wanted) => {
    const next = Math.min(slices.length - 1, Math.max(0, wanted));
    if (next === shown) return;
    if (shown >= 0) slices[shown].classList.remove("shown");
    slices[next].classList.add("shown");
    shown = next;
    slider.value = next;
    slider.setAttribute("aria-valuetext", slices[next].querySelector("figcaption").textContent.trim());
  };
  stack.classList.add("live");
  show(Number(slider.value));
  slider.addEventListener("input", () => show(Number(slider.value)));
  // The wheel pages only after a click, so that scrolling past does not get caught.
  film.addEventListener("click", () => slider.focus({ preventScroll: true }));
  film.addEventListener("wheel", (event) => {
    if (document.activeElement !== slider || event.deltaY === 0) return;
    event.preventDefault();
    show(shown + Math.sign(event.deltaY));
  }, { passive: false });
  // A finger or the mouse drawn sideways pages; up and down still scrolls.
  let from = null;
  film.addEventListener("pointerdown", (event) => {
    from = { x: event.clientX, slice: shown };
    film.setPointerCapture(event.pointerId);
  });
  film.addEventListener("pointermove", (event) => {
    if (from) show(from.slice + Math.round((event.clientX - from.x) / 8));
  });
  for (const end of ["pointerup", "pointercancel"]) film.addEventListener(end, () => { from = null; });
  const follow = (address) => {
    const wanted = slices.findIndex((slice) => "#" + slice.id === address);
    if (wanted >= 0) show(wanted);
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#slice-']");
    if (link) follow(link.getAttribute("href"));
  });
  follow(location.hash);
}
