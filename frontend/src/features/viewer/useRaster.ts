import { useEffect, useState } from "react";
import { rasterOf } from "../../raster/raster";
import { addressOfRaster, forgetRaster } from "../../reading";
import type { ImageItem } from "../../state/images";

/** Return the address of the values of a plane of a file that browsers do not show, or "". */
export function useRaster({ file, refusal }: ImageItem, plane: number): string {
  const [address, setAddress] = useState("");
  const wanted = refusal ? null : file;
  useEffect(() => {
    if (!wanted) return setAddress("");
    let made = "";
    let isCurrent = true;
    void rasterOf(wanted, plane).then((raster) => {
      if (!isCurrent || !raster) return;
      made = addressOfRaster(raster);
      setAddress(made);
    });
    return () => {
      isCurrent = false;
      forgetRaster(made);
      setAddress("");
    };
  }, [wanted, plane]);
  return address;
}
