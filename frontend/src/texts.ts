/** The texts of the site, apart so that they can be translated; fileTexts.ts and viewerTexts.ts have the rest. */

import {
  WORTH_TELLING_MS,
  change,
  counted,
  date,
  duration,
  number,
  size,
  unitAfter,
} from "./formats";
import type { Field } from "./fields";
import type { Value } from "./operation";
import { viewerTexts } from "./viewerTexts";

export const texts = {
  title: "Distributed Image Processing",
  tagline: "scikit-image filters over many pictures at once",
  apiLink: "API",
  about: "Help, limits and privacy",
  size,
  dimensions: ({ width, height }: { width: number; height: number }) => `${width} × ${height}`,
  percent: (part: number) => `${number.format(Math.round(100 * part))} %`,
  close: "Close",
  count: (count: number) => number.format(count),

  images: {
    heading: "Images",
    choose: "Choose images",
    folder: "Folder",
    list: "List of images",
    menu: "More",
    gallery: "Gallery",
    clear: "Clear list",
    recent: "Recent batches…",
    removeRefused: (count: number) => `Remove ${counted(count, "file")} that cannot be used`,
    drop: "Or drop or paste them anywhere on this page, as many as you like. JPEG, PNG, WebP, TIFF and many others.",
    dropping: "Drop to add",
    samples: "No picture at hand? See what happens to one of these:",
    sampleFailed: (name: string) =>
      `The sample ${name} could not be loaded. Check your connection and try again.`,
    samplesHeading: "Add a sample",
    credits:
      "Portrait: NASA. Coins: Brooklyn Museum. Cells: CMMI. The scan is laid together out of Cells, and Nuclei are drawn, on this page. All free to use.",
    select: (name: string) => `Show ${name}`,
    upload: (name: string) => `Upload of ${name}`,
    processing: (name: string) => `Processing of ${name}`,
    retry: "Retry",
    retryNamed: (name: string) => `Retry ${name}`,
    cancel: "Cancel",
    cancelNamed: (name: string) => `Cancel ${name}`,
    pause: "Pause",
    pauseNamed: (name: string) => `Pause ${name}`,
    resume: "Resume",
    resumeNamed: (name: string) => `Resume ${name}`,
    remove: (name: string) => `Remove ${name}`,
    removeFromList: "Remove from the list",
    download: "Download",
    downloadNamed: (name: string) => `Download ${name}`,
    added: (count: number) => `${counted(count, "image")} added.`,
    refused: (count: number) => `${counted(count, "file")} cannot be used.`,
    known: (count: number) => `${counted(count, "file")} on the list already.`,
    noImages: (count: number) => `${counted(count, "file")} in the folder left out: no images.`,
    resumed: (count: number) => `${counted(count, "upload")} resumed.`,
    full: (most: number) =>
      `The list holds at most ${counted(most, "image")}. Process these, clear the list, then add the rest.`,
    deleteNow: "Delete now",
    deleteTitle: "Delete these images?",
    deleteWarning:
      "The images that were sent and all results are deleted from the service for good. The files on your computer stay.",
    deleteYes: "Delete",
    deleteNot: "Keep",
    deleted: "All was deleted.",
    kept: (until: number) =>
      `Results are kept until ${date.format(until)}. Whoever has this page's full address can see them.`,
  },

  samples: {
    portrait: { title: "Portrait", use: "made crisp" },
    coins: { title: "Coins", use: "told from the background" },
    nuclei: { title: "Nuclei, 16 bits", use: "counted and measured" },
    cells: { title: "Cells", use: "brown stain measured" },
    scan: { title: "Huge scan", use: "edges in 90 megapixels" },
  },

  files: {
    tooLarge: (bytes: number, most: number) =>
      `Too large: ${size(bytes)}; at most ${size(most)} are accepted. Save it with compression, or cut it.`,
    sameName: "Another image has the same name",
    empty: "This file is empty (0 bytes). Choose another one.",
    unreadable: "This file cannot be read any more. Was it moved or changed? Add it again.",
    wrongType: (start: string) =>
      `Not an image this app reads (starts with ${start}). Use JPEG, PNG, WebP, TIFF or one of many others.`,
    stranger: (title: string, way: string) =>
      `This is ${title}, which this app does not read: ${way}.`,
  },

  stage: {
    chosen: (bytes: number) => `Ready, ${size(bytes)}`,
    preparing: "Preparing the upload",
    waiting: "Upload waits its turn",
    sending: (percent: number) => `Uploading, ${percent} %`,
    offline: "You are offline. The upload goes on when the connection is back.",
    retrying: "The connection broke. Trying again.",
    paused: "Paused",
    checking: "Checking the upload",
    joining: "Joining the parts",
    cancelling: "Cancelling",
    awaiting_upload: "The upload was not finished. Add the file again.",
    waking: "Waits for a worker to start",
    queued: (ahead: number | null) => {
      if (ahead === null) return "In the queue";
      return ahead > 0 ? `In the queue, about ${number.format(ahead)} ahead` : "Next in the queue";
    },
    running: (done: number, total: number, left: number) => {
      if (total < 2) return "Processing";
      const tiles = `Tile ${number.format(done)} of ${number.format(total)}`;
      return left > WORTH_TELLING_MS ? `${tiles}, about ${duration(left)} left` : tiles;
    },
    succeeded: (before: number, after: number) => `Done, ${change(before, after)}`,
    failed: "Failed, and no reason was given.",
    cancelled: "Cancelled",
    cancelledBefore: "Cancelled. Add the file again to process it.",
    expired: "No longer kept. Add the file again to process it once more.",
  },

  upload: {
    gaveUp: "The upload did not get through. Check your connection, then retry.",
    refusedByStorage: (message: string) =>
      message
        ? `The storage refused this file: ${message.replace(/\.?$/, ".")}`
        : "The storage refused this file. Retry, or try another one.",
  },

  viewer: viewerTexts,

  filters: {
    heading: "Filters",
    add: "Add filter",
    search: "Search filters",
    searchExample: "Search by name or by what it does",
    found: (count: number) => counted(count, "filter"),
    results: "Filters found",
    groups: "Groups of filters",
    allGroups: "All",
    popular: "Popular",
    none: (query: string) =>
      query ? `No filter here matches “${query}”. Try another word or group.` : "No filter here.",
    empty: "No filters yet. They run from top to bottom, each on the result of the one before.",
    full: (most: number) => `A chain holds at most ${most} filters.`,
    loading: "Loading the filters",
    failed: "The filters could not be loaded, because the service does not answer.",
    tryAgain: "Try again",
    moveUp: (title: string) => `Move ${title} up`,
    moveDown: (title: string) => `Move ${title} down`,
    drag: (title: string, place: number) =>
      `${title}, filter ${place}: drag, or move with the arrow keys`,
    dragHint: "Drag to another place",
    switchOff: (title: string) => `Switch ${title} off`,
    switchOn: (title: string) => `Switch ${title} on`,
    duplicate: (title: string) => `Duplicate ${title}`,
    more: (title: string) => `More for ${title}`,
    summary: (field: Field, value: Value) => {
      const unit = "unit" in field ? unitAfter(field.unit) : "";
      const told =
        value === null ? "automatic" : typeof value === "boolean" ? (value ? "on" : "off") : value;
      return `${field.title} ${String(told)}${unit}`;
    },
    helpOn: (title: string) => `What ${title} means`,
    remove: (title: string) => `Remove ${title}`,
    reset: (title: string) => `Reset ${title}`,
    resetTo: (value: string) => `Back to ${value}`,
    slider: (title: string) => `${title} slider`,
    automatic: "Automatic",
    fine: "More settings",
    fineOf: (title: string) => `More settings of ${title}`,
    automaticFor: (title: string) => `${title} automatic`,
    noFields: "Nothing to set.",
    unknown: "This filter is no longer offered. Remove it to go on.",
    format: "Output format",
    output: "Output",
    bits: "Numbers",
    depths: {
      input: "Bits of the image",
      native: "As scikit-image has them",
    },
    depthHelp:
      "“As scikit-image has them” keeps its types and values, often 32-bit floats, for measurements. They need TIFF.",
    pattern: "Names",
    patternHelp:
      "{name} is the name of the original, {number} its place on the list, {date} the day. Folders are kept.",
    patternExample: (name: string) => `For example ${name}`,
    metadata: "Camera data",
    metadataOf: { keep: "Keep", strip: "Leave out" },
    losses: {
      keep: "Camera data (EXIF, with any place) and colour profile are kept where the format can hold them; what it cannot is noted with the result.",
      strip:
        "Camera data (EXIF, with any place) is left out. The colour profile stays, so that colours look the same.",
    },
    quality: "Quality",
    qualityHelp:
      "100 is closest to the original, 1 the smallest file. Automatic: JPEG as the original, or 95 if that is no JPEG; AVIF 90; WebP and JPEG XL without loss. The others have no loss.",
    formats: {
      ...{ same: "As input", jpeg: "JPEG", png: "PNG", webp: "WebP", tiff: "TIFF" },
      ...{ avif: "AVIF", jpegxl: "JPEG XL", gif: "GIF", zarr: "OME-Zarr (zip)" },
    },
    added: (title: string, place: number) => `${title} added as filter ${place}.`,
    moved: (title: string, place: number) => `${title} is now filter ${place}.`,
    removed: (title: string) => `${title} removed.`,
    range: (low: number, high: number, unit: string) => {
      if (low === -Infinity) return `at most ${high}${unitAfter(unit)}`;
      if (high === Infinity) return `at least ${low}${unitAfter(unit)}`;
      return `between ${low} and ${high}${unitAfter(unit)}`;
    },
    needsNumber: (range: string) => `Enter a number ${range}.`,
    outOfRange: (range: string) => `Must be ${range}.`,
    needsWhole: "Must be a whole number.",
    needsChoice: "Choose one of the list.",
    needsWords: "Choose one at least.",
    moreWords: (count: number) => `Show ${number.format(count)} more`,
    needsNumbers: (least: number, most: number) =>
      `Enter ${least} to ${most} numbers with commas between them.`,
  },

  resizing: {
    modes: "How to give the size",
    names: {
      resize_longest_side: "Longest side",
      resize: "Width × height",
      rescale: "Percent",
    } as Readonly<Record<string, string>>,
    lock: "Keep proportions",
    presets: "Usual sizes",
    percent: "Percent",
    becomes: (from: { width: number; height: number }, to: { width: number; height: number }) =>
      `${texts.dimensions(from)} becomes ${texts.dimensions(to)}.`,
    stretches:
      "Images of another shape are stretched to this size. With “Longest side” each image keeps its own shape.",
  },

  inputs: {
    titles: {
      "regionprops_table.intensity": "Brightness measured on",
      image: "Works on",
      intensity: "Measured on",
      mask: "Only within",
    } as Readonly<Record<string, string>>,
    before: "The filter before",
    none: "Nothing",
    original: "The original image",
    step: (place: number, title: string) => `${place}: ${title}`,
    missing: "Choose an image",
    gone: "This filter was removed, moved down or switched off. Choose another image.",
    needed: "Choose an image.",
    intensity: "Choose the image whose brightness is measured, or measure no brightness.",
    keep: "Keep its image as a result, too",
    keepNot: "Do not keep its image as a result",
    kept: "Its image is a result, too.",
  },

  cropping: {
    draw: "Draw on the picture",
    sameForAll: "The same rows and columns are cut off every image.",
    frame: "Frame: arrow keys move it",
    edges: {
      left: "Left edge of the frame",
      right: "Right edge of the frame",
      top: "Top edge of the frame",
      bottom: "Bottom edge of the frame",
    },
    pixels: (count: number) => `${number.format(count)} px`,
    shape: "Shape of the frame",
    free: "Any shape",
    same: "As the image",
    whole: "Whole picture",
    done: "Done",
  },

  recipe: {
    menu: "Recipe",
    undo: "Undo",
    redo: "Redo",
    copyLink: "Copy link to these filters",
    copyJson: "Copy as JSON",
    saveJson: "Save as a file",
    openJson: "Open a file…",
    asShell: "Copy as a shell command",
    asPython: "Copy as Python",
    asCurl: "Copy as curl",
    copied: "Copied.",
    uncopied: "This browser does not let the page copy. Save the recipe as a file instead.",
    opened: "The filters of this link are in place.",
    unreadable: (name: string) =>
      `${name} holds no recipe: a JSON list of steps, as “Save as a file” writes it.`,
    unreadableLink: "The link to this page holds no recipe that can be read. Ask for a new one.",
  },

  mine: {
    heading: "My recipes",
    menu: "My recipes…",
    name: "Name for these filters",
    keep: "Keep",
    kept: (name: string) => `“${name}” is kept.`,
    empty: "Add filters first; then they can be kept here.",
    none: "No recipes yet.",
    remove: (name: string) => `Remove ${name}`,
    where: "They are kept in this browser. “Save as a file” takes one elsewhere.",
  },

  presets: {
    begin: "Add one above, or begin with a chain that many use:",
    taken: (name: string) => `The filters of “${name}” are in place.`,
    library: "Library…",
    libraryTitle: "Library",
    libraryLead:
      "Ready-made filters, each before and after. What you take can be changed like any other.",
    all: "See all, with pictures",
    of: {
      count: {
        name: "Count objects",
        help: "Bright objects that lie apart: how many; area, place and brightness of each",
      },
      scan: { name: "Clean scan", help: "Gray, specks out, then black on white" },
      web: { name: "Photos for the web", help: "2048 pixels at most, then sharpened a little" },
      crisp: { name: "Crisp photograph", help: "Sharpened, as for print" },
      shadows: { name: "Open shadows", help: "Contrast evened out from place to place" },
      calm: { name: "Less noise", help: "Grain smoothed away, edges kept" },
      edges: { name: "Line drawing", help: "Edges as thin lines" },
      nuclei: { name: "Brown stain", help: "How much of the stain each pixel has" },
      objects: {
        name: "Mask of objects",
        help: "Blurred, split at Otsu's threshold, grown by a pixel",
      },
      negative: { name: "Negative", help: "Dark and light exchanged" },
    },
  },

  tabs: { label: "Parts of the page", images: "Images", viewer: "Viewer", filters: "Filters" },

  panels: {
    show: (panel: string) => `Show ${panel}`,
    fold: (panel: string) => `Fold ${panel} away`,
    width: (panel: string) => `Width of ${panel}`,
  },

  theme: (now: string, next: string) =>
    `Colours: ${now === "system" ? "as the system has them" : now}. Change to ${next}`,

  keys: {
    heading: "Keys",
    single: "Single keys work without Ctrl",
  },

  bar: {
    process: (count: number) => (count ? `Process ${counted(count, "image")}` : "Process images"),
    cancelAll: "Cancel all",
    retryFailed: (count: number) => `Retry ${number.format(count)} failed`,
    done: (done: number, all: number) => `${number.format(done)} of ${number.format(all)} done`,
    failed: (count: number) => `${number.format(count)} failed`,
    bytes: change,
    progress: "All images",
    left: (ms: number) => `about ${duration(ms)} left`,
    ahead: (ahead: number) =>
      ahead > 0 ? `about ${number.format(ahead)} ahead in the queue` : "next in the queue",
    cost: (usd: number) => `about US$ ${usd < 0.01 ? "0.01 or less" : usd.toFixed(2)}`,
    needsImages: "Add images to begin.",
    needsFilters: "Add a filter to begin.",
    allOff: "All filters are switched off. Switch one on to begin.",
    needsMending: "A filter holds a value that cannot be used.",
    allDone: "Change the filters or add images to go on.",
    ready: (count: number) => `${counted(count, "image")} ready.`,
  },

  waking: {
    starting: "A worker is being started for your images.",
    left: (ms: number) => `Ready in about ${duration(ms)}.`,
    late: "It takes longer than usual.",
    meanwhile: "They keep their place in the queue, also when you close this page.",
    none: "No worker is there just now. Your images wait in the queue, and go on by themselves.",
  },

  service: {
    offline: "You are offline. Everything goes on when the connection is back.",
    down: "The service does not answer. Nothing is lost; this page tries again by itself.",
    again: (seconds: number) => `Next try in ${seconds} s`,
    trying: "Trying now",
    possibleIn: (ms: number) => `Possible again in about ${duration(ms)}`,
    possible: "Possible again now",
    deletedElsewhere: "These images were deleted in another tab.",
    gone: "The results at this address are no longer kept. Add the images again to process them once more.",
    refused: (detail: string) => `The service refused this: ${detail}`,
    tryNow: "Try now",
    close: "Close",
  },

  zip: {
    all: (count: number) => `Download all ${number.format(count)}`,
    fresh: (count: number) => `Download ${number.format(count)} new`,
    making: (done: number, all: number) => `Zip: ${number.format(done)} of ${number.format(all)}`,
    name: (now: Date) => `images-${now.toISOString().slice(0, 16).replace(/[:T]/g, "-")}.zip`,
    saved: (count: number) => `${counted(count, "result")} saved as a zip.`,
    failed: "The zip could not be finished, because a result did not come. Try again.",
  },

  milestones: {
    started: (count: number) => `Processing of ${counted(count, "image")} started.`,
    finished: (done: number, failed: number) =>
      `Finished: ${counted(done, "image")} done${failed ? `, ${number.format(failed)} failed` : ""}.`,
    failed: (name: string) => `${name} failed.`,
  },
};
