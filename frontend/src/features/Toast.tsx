import { useEffect, useState } from "react";
import { useSelected } from "../state/store";

const SHOWN_MS = 2400;

/**
 * A short message about the last action, which disappears by itself.
 *
 * Screen readers skip it, because the live region announces the same sentence.
 */
export function Toast() {
  const toast = useSelected((state) => state.toast);
  const [gone, setGone] = useState(0);
  useEffect(() => {
    if (!toast) return;
    const timer = setTimeout(() => setGone(toast.number), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [toast]);
  if (!toast || toast.number === gone) return null;
  return (
    <p className="toast" aria-hidden="true">
      {toast.sentence}
    </p>
  );
}
