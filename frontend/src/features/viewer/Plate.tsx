import { useEffect, useRef, useState } from "react";
import { type Contrast, painted } from "../../contrast";
import { valuesAt } from "../../reading";
import type { Samples, Values } from "../../values";

interface PlateProps {
  readonly source: string;
  readonly title: string;
  contrastOf(values: Values): Contrast;
  readonly isCrisp: boolean;
  readonly style: React.CSSProperties;
  onOpen(values: Values): void;
  onFail(): void;
}

/** A picture that this page paints from the values of an image, in the contrast chosen. */
export function Plate(props: PlateProps) {
  const { source, title, contrastOf, isCrisp, style, onOpen, onFail } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [opened, setOpened] = useState<{ values: Values; samples: Samples } | null>(null);
  const calls = useRef({ onOpen, onFail });
  calls.current = { onOpen, onFail };

  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const open = async () => {
      const values = await valuesAt(source, signal);
      const samples = await values.all();
      if (signal.aborted || !canvas.current) return;
      setOpened({ values, samples });
      calls.current.onOpen(values);
    };
    open().catch(() => {
      if (!signal.aborted) calls.current.onFail();
    });
    return () => controller.abort();
  }, [source]);

  const contrast = opened && contrastOf(opened.values);
  // A contrast is made anew at each rendering; its text is equal if it is.
  const written = JSON.stringify(contrast);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!canvas.current || !context || !opened || !contrast) return;
    const { values, samples } = opened;
    const { width, height } = values;
    if (canvas.current.width !== width) canvas.current.width = width;
    if (canvas.current.height !== height) canvas.current.height = height;
    context.putImageData(new ImageData(painted(samples, values, contrast), width, height), 0, 0);
  }, [opened, written]);

  return (
    <canvas
      ref={canvas}
      role="img"
      aria-label={title}
      data-crisp={isCrisp || undefined}
      style={style}
    />
  );
}
