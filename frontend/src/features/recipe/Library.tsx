import { PRESETS } from "../../presets";
import { useSelected } from "../../state/store";
import { texts } from "../../texts";
import { Dialog } from "../Dialog";
import { offered, usePreset } from "./usePreset";
import "./library.css";

// Each with the same picture before and after; made by `make pictures`.
const FILES = import.meta.glob<string>("./pictures/*.webp", {
  eager: true,
  query: "?url",
  import: "default",
});

/** All ready-made chains, each with what it does to a picture. */
export function Library({ onClose }: { onClose(): void }) {
  const operations = useSelected((state) => state.catalogue.operations);
  const take = usePreset();
  return (
    <Dialog title={texts.presets.libraryTitle} className="library" onClose={onClose}>
      <p className="quiet">{texts.presets.libraryLead}</p>
      <ul className="library-cards">
        {offered(PRESETS, operations).map((preset, place) => (
          <li key={preset.id}>
            <button
              type="button"
              className="library-card"
              data-first={place === 0 || undefined}
              onClick={() => {
                take(preset);
                onClose();
              }}
            >
              {FILES[`./pictures/${preset.id}.webp`] && (
                <img
                  src={FILES[`./pictures/${preset.id}.webp`]}
                  alt=""
                  loading="lazy"
                  decoding="async"
                />
              )}
              <strong>{preset.name}</strong>
              <span>{preset.help}</span>
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
