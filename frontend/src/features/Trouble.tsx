import { useDispatch, useSelected, useWork } from "../state/store";
import { texts } from "../texts";

/** What is wrong with the service or the network, in words, with the one thing to do. */
export function Trouble() {
  const trouble = useSelected((state) => state.trouble);
  const dispatch = useDispatch();
  const work = useWork();
  return (
    <div role="alert">
      {trouble && (
        <p className="trouble">
          <span>{trouble.sentence}</span>
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
        </p>
      )}
    </div>
  );
}
