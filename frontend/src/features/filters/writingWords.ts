/** Words for the options of writing. An option without words is shown as the service declares it. */

interface OptionWords {
  readonly title: string;
  readonly values?: Readonly<Record<string, string>>;
}

export const words: {
  readonly usual: string;
  readonly options: Readonly<Record<string, OptionWords>>;
} = {
  usual: "As usual",
  options: {
    compression: {
      title: "Compression",
      values: {
        none: "None",
        deflate: "Deflate, no loss",
        lzw: "LZW, no loss",
        zstd: "Zstandard, no loss",
        jpeg: "JPEG, with loss",
        g4: "Fax (G4), for masks",
      },
    },
    layout: {
      title: "Layout of the file",
      values: {
        strips: "Strips",
        tiles: "Tiles",
        pyramid: "Tiles and smaller copies",
        cog: "Cloud-optimized (COG)",
        ome: "OME-TIFF",
      },
    },
    subsampling: {
      title: "Detail of colours",
      values: { "444": "All (4:4:4)", "422": "Half (4:2:2)", "420": "A quarter (4:2:0)" },
    },
    progressive: { title: "Coarse picture first" },
    bytes_max: { title: "Largest file" },
  },
};
