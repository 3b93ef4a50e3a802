import { type CSSProperties, type ReactNode, useState } from "react";
import { texts } from "../../texts";

export interface Layer {
  readonly source: string;
  readonly title: string;
  readonly className?: string;
}

interface PictureProps {
  /** Pictures of the same scene, the last one on top. */
  readonly layers: readonly Layer[];
  /** Said when one of them cannot be shown. */
  readonly failure: string;
  readonly style?: CSSProperties;
  readonly children?: ReactNode;
}

/** Pictures laid over each other, as large as the stage allows. */
export function Picture({ layers, failure, style, children }: PictureProps) {
  const [ratio, setRatio] = useState(0);
  const [isFailed, setFailed] = useState(false);
  if (isFailed) {
    return (
      <div className="picture-failed">
        <p>{failure}</p>
        <button type="button" onClick={() => setFailed(false)}>
          {texts.viewer.tryAgain}
        </button>
      </div>
    );
  }
  const shape = { "--ratio": ratio || 1, ...style } as CSSProperties;
  return (
    <div className={ratio ? "picture" : "picture picture-coming"} style={shape}>
      {layers.map(({ source, title, className }) => (
        <img
          key={source}
          src={source}
          alt={title}
          className={className}
          draggable={false}
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
            setRatio(naturalWidth / Math.max(1, naturalHeight))
          }
          onError={() => setFailed(true)}
        />
      ))}
      {children}
    </div>
  );
}
