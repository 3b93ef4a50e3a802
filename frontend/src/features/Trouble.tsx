import { useEffect, useState } from "react";
import { useDispatch, useSelected, useWork } from "../state/store";
import { texts } from "../texts";

/** The current problem of the service or the network, with a button to retry or to close it. */
export function Trouble() {
  const trouble = useSelected((state) => state.trouble);
  const dispatch = useDispatch();
  const work = useWork();
  return (
    <div className="trouble-place">
      {trouble && (
        <div className="trouble">
          <p role="alert">{trouble.sentence}</p>
          {trouble.until > 0 && <Countdown until={trouble.until} isAutomatic={trouble.passing} />}
          {trouble.passing ? (
            <button type="button" onClick={work.tryNow}>
              {texts.service.tryNow}
            </button>
          ) : (
            <button
              type="button"
              onClick={() => dispatch({ type: "trouble changed", trouble: null })}
            >
              {texts.service.close}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

const TICK_MS = 500;

interface CountdownProps {
  readonly until: number;
  /** Whether this page tries again by itself at that time. */
  readonly isAutomatic: boolean;
}

/** Time until the next try; hidden from screen readers, which would read out each tick. */
function Countdown({ until, isAutomatic }: CountdownProps) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.ceil((until - now) / 1000));
  const [waiting, over] = isAutomatic
    ? [texts.service.again(seconds), texts.service.trying]
    : [texts.service.possibleIn(1000 * seconds), texts.service.possible];
  return (
    <p className="countdown" aria-hidden="true">
      {seconds > 0 ? waiting : over}
    </p>
  );
}
