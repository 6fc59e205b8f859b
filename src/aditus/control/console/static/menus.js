// Menus that open beside their button, and are walked with the arrow keys.

const GAP = 4;

document.addEventListener(
  "toggle",
  (event) => {
    const menu = event.target;
    if (!menu.matches?.(".menu[popover]") || event.newState !== "open") return;
    const button = document.querySelector(`[popovertarget="${menu.id}"]`);
    const at = button.getBoundingClientRect();
    const size = menu.getBoundingClientRect();
    const below = at.bottom + GAP + size.height <= innerHeight;
    menu.style.top = `${Math.max(GAP, below ? at.bottom + GAP : at.top - GAP - size.height)}px`;
    menu.style.left = `${Math.max(GAP, Math.min(at.right, innerWidth - GAP) - size.width)}px`;
    menu.style.right = "auto";
    menu.querySelector("a, button")?.focus();
  },
  true,
);

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(".menu[popover]");
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!menu || !by) return;
  event.preventDefault();
  const items = [...menu.querySelectorAll("a, button")];
  items[(items.indexOf(event.target) + by + items.length) % items.length].focus();
});

addEventListener("scroll", () => document.querySelector(".menu:popover-open")?.hidePopover(), { passive: true });
