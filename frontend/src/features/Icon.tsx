// Drawn on a grid of 16 × 16, one stroke each.
const PATHS = {
  plus: "M8 3v10M3 8h10",
  up: "M8 13V3.5M4 7l4-4 4 4",
  down: "M8 3v9.5M4 9l4 4 4-4",
  cross: "M4 4l8 8M12 4l-8 8",
  reset: "M4 4v3h3M4.3 7A4.5 4.5 0 1 1 4 9.5",
  download: "M8 2.5v7.5M4.5 7L8 10.5 11.5 7M3 13.5h10",
  check: "M3.5 8.5l3 3 6-7",
  warning: "M8 2.5L14 13H2zM8 6.5v3M8 11.2v.1",
  search: "M7 3a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM10 10l3.5 3.5",
  arrows: "M6 4.5L2.5 8 6 11.5M10 4.5L13.5 8 10 11.5",
};

/** A picture for the eye only; the control around it carries the words. */
export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
