import { type ComponentType, type ReactNode, useEffect, useState } from "react";
import { patient } from "../patient";

type Loadable<P> = ComponentType<P> & { load(): Promise<unknown> };

/**
 * Make a component of a part of the page that is loaded later; once it is there, it is rendered at
 * once, so that no key stroke is lost.
 *
 * @param load returns the component
 * @param fallback shown until the part is there
 */
export function loadable<P extends object>(
  load: () => Promise<ComponentType<P>>,
  fallback: ReactNode = null,
): Loadable<P> {
  let found: ComponentType<P> | null = null;
  const get = async () => (found ??= await patient(load));

  function Loaded(props: P) {
    const [Part, setPart] = useState(() => found);
    useEffect(() => {
      let isCurrent = true;
      void get().then((part) => {
        if (isCurrent) setPart(() => part);
      });
      return () => {
        isCurrent = false;
      };
    }, []);
    return Part ? <Part {...props} /> : fallback;
  }

  return Object.assign(Loaded, { load: get });
}
