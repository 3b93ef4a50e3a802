/** The keys of the page, with what each does; a text of its own, since few open it. */
const KEYS: readonly (readonly [readonly string[], string])[] = [
  [["?"], "Show these keys"],
  [["o"], "Choose images"],
  [["/"], "Add a filter"],
  [["Ctrl", "Enter"], "Process"],
  [["Ctrl", "Z"], "Undo a change of the filters"],
  [["Ctrl", "Shift", "Z"], "Redo it"],
  [["d"], "Download all results"],
  [["↑", "↓"], "Next image, in the list; another place, at a filter's handle"],
  [["b", "s", "a"], "Before, split, after"],
  [["g"], "Gallery of all images"],
  [["h"], "Histogram"],
  [["m"], "Measure a rectangle or a line on the picture"],
  [["f"], "Full screen"],
  [["+", "−"], "Zoom, at the picture"],
  [["0", "1"], "Whole picture, 100 %"],
  [["←", "→"], "Move the picture, or the divider"],
];

export function KeyList() {
  return (
    // It scrolls where a window is low.
    <dl tabIndex={0}>
      {KEYS.map(([keys, what]) => (
        <div key={what} className="key-line">
          <dt>
            {keys.map((each) => (
              <kbd key={each}>{each}</kbd>
            ))}
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  );
}
