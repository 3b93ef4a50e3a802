import { useEffect, useState } from "react";
import { rasterOf } from "../../raster/raster";
import { addressOfRaster, forgetRaster } from "../../reading";
import type { ImageItem } from "../../state/images";

/** The values of a plane of a file that browsers do not show. */
export interface ReadPlane {
  /** Where they are; "" while there are none. */
  readonly address: string;
  /** Whether they are those of a smaller copy of the image. */
  readonly isSmaller: boolean;
}

const NONE: ReadPlane = { address: "", isSmaller: false };

/** Read a plane of a file that browsers do not show. */
export function useRaster({ file, refusal }: ImageItem, plane: number): ReadPlane {
  const [found, setFound] = useState(NONE);
  const wanted = refusal ? null : file;
  useEffect(() => {
    if (!wanted) return setFound(NONE);
    let made = "";
    let isCurrent = true;
    void rasterOf(wanted, plane).then((raster) => {
      if (!isCurrent || !raster) return;
      made = addressOfRaster(raster);
      setFound({ address: made, isSmaller: raster.whole !== undefined });
    });
    return () => {
      isCurrent = false;
      forgetRaster(made);
      setFound(NONE);
    };
  }, [wanted, plane]);
  return found;
}
