import { useEffect, useState } from "react";
import type { JobResult } from "../../answers";
import { api } from "../../api";
import { type Table, readTable } from "../../tables";

/** Most bytes of a table that are read for this page; the file that is saved has all. */
const BYTES_MAX = 32 << 20;

export type Loaded =
  { readonly state: "coming" | "failed" } | { readonly state: "ready"; readonly table: Table };

/** Read a table of results; `tries` begins anew when it changes. */
export function useTable({ address, bytes }: JobResult, tries: number): Loaded {
  const [loaded, setLoaded] = useState<Loaded>({ state: "coming" });
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const read = async () => {
      setLoaded({ state: "coming" });
      const isWhole = bytes <= BYTES_MAX;
      const content = await api.bytes(address, 0, Math.min(bytes, BYTES_MAX), signal);
      const table = await readTable(new TextDecoder().decode(content), isWhole);
      if (!signal.aborted) setLoaded({ state: "ready", table });
    };
    read().catch(() => {
      if (!signal.aborted) setLoaded({ state: "failed" });
    });
    return () => controller.abort();
  }, [address, bytes, tries]);
  return loaded;
}
