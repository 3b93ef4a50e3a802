import { plainContrast } from "../../contrast";
import { valuesOfPicture } from "../../pixels";
import { CRISP_SCALE, type Size, type View } from "../../view";
import { Plate } from "./Plate";
import { Tiles } from "./Tiles";
import type { Layer } from "./layers";
import type { Contrasts, Shown } from "./shown";

interface PictureProps {
  readonly layer: Layer;
  readonly view: View | null;
  /** Size of the scene, into which the picture is fitted. */
  readonly scene: Size | null;
  readonly contrasts: Contrasts;
  onShown(shown: Shown): void;
  onFail(): void;
}

const EIGHT_BITS = [0, 255] as const;

/** The picture of a layer: as the browser shows it, in tiles, or painted from values. */
export function Picture({ layer, view, scene, contrasts, onShown, onFail }: PictureProps) {
  const { key, source, title, form } = layer;
  if (form === "tiles") {
    return (
      <Tiles
        source={source}
        title={title}
        view={view}
        scene={scene}
        onOpen={({ size, small, values, valuesAt }) => {
          const domain = values?.limits ?? EIGHT_BITS;
          onShown({ size, small, domain, approximateAt: valuesAt, ...(values && { values }) });
        }}
        onFail={onFail}
      />
    );
  }
  const transform = view ? `translate(${view.x}px, ${view.y}px) scale(${view.scale})` : "scale(0)";
  const style = { width: scene?.width, height: scene?.height, transform };
  const isCrisp = (view?.scale ?? 0) >= CRISP_SCALE;
  if (form === "values") {
    return (
      <Plate
        source={source}
        title={title}
        contrastOf={(values) => contrasts[key] ?? plainContrast(values)}
        isCrisp={isCrisp}
        style={style}
        onOpen={(values) => {
          const size = { width: values.width, height: values.height };
          onShown({ size, values, domain: null });
        }}
        onFail={onFail}
      />
    );
  }
  return (
    <img
      src={source}
      alt={title}
      draggable={false}
      data-crisp={isCrisp || undefined}
      style={style}
      onLoad={({ currentTarget: image }) => {
        const size = { width: image.naturalWidth, height: image.naturalHeight };
        onShown({ size, domain: EIGHT_BITS, readValues: () => valuesOfPicture(image) });
      }}
      onError={onFail}
    />
  );
}
