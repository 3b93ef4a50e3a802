import { useEffect, useState } from "react";
import { stageOf } from "../state/images";
import { useSelected } from "../state/store";
import { texts } from "../texts";
import { Icon } from "./Icon";

const TICK_MS = 1000;
// A worker that restarts is back before this.
const PATIENCE_MS = 10_000;

/** A message that images wait because no worker runs yet, with the time until one does. */
export function Waking() {
  const { workers, start_seconds: seconds, waitsSince } = useSelected((state) => state.line);
  const isWaiting = useSelected(({ images }) =>
    images.items.some((each) => stageOf(each) === "queued"),
  );
  // A connection problem is more important; `Trouble` shows it.
  const isConnected = useSelected(({ trouble }) => !trouble?.passing);
  const isNobody = isConnected && isWaiting && workers === 0 && waitsSince > 0;
  const now = useNow(isNobody);
  const waited = now - waitsSince;
  const isShown = isNobody && (seconds > 0 || waited > PATIENCE_MS);
  return (
    <div className="waking-place" role="status">
      {isShown && (
        <div className="waking">
          <Icon name="clock" />
          <p>
            {seconds > 0 ? (
              <>
                <strong>{texts.waking.starting}</strong> <Left ms={1000 * seconds - waited} />{" "}
                {texts.waking.meanwhile}
              </>
            ) : (
              texts.waking.none
            )}
          </p>
        </div>
      )}
    </div>
  );
}

/** The time left; hidden from screen readers, which would read out each change. */
function Left({ ms }: { ms: number }) {
  return (
    <span aria-hidden="true">{ms > 0 ? texts.waking.left(roundedUp(ms)) : texts.waking.late}</span>
  );
}

/** Round up to half minutes, because the estimate is rough. */
function roundedUp(ms: number): number {
  return 30_000 * Math.ceil(ms / 30_000);
}

function useNow(isTicking: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isTicking) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, [isTicking]);
  return now;
}
