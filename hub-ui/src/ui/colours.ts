/** A colour of the theme as a canvas takes it: `light-dark()` is decided only where it is used. */
export function colourOf(element: HTMLElement, name: string): string {
  const probe = element.appendChild(document.createElement("i"));
  probe.style.color = `var(--color-${name})`;
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
