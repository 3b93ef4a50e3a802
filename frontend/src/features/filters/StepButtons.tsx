import type { Operation } from "../../operation";
import { type Step, newStep } from "../../recipe";
import { useDispatch } from "../../state/store";
import { texts } from "../../texts";
import { randomHex } from "../../work/random";
import { Icon, type IconName } from "../Icon";
import { Menu } from "../Menu";

interface StepButtonsProps {
  readonly step: Step;
  readonly operation: Operation | undefined;
  readonly place: number;
  readonly last: number;
  /** Whether the chain has room for a copy. */
  readonly hasRoom: boolean;
  onHelp(): void;
  onMove(by: -1 | 1): void;
  onRemoved(title: string): void;
}

/** The buttons of a step, the rarer ones in a menu. */
export function StepButtons(props: StepButtonsProps) {
  const { step, operation, place, last, hasRoom, onHelp, onMove, onRemoved } = props;
  const dispatch = useDispatch();
  const { id, isOff, isKept, isTable } = step;
  const title = operation?.title ?? step.operation;

  function reset(known: Operation) {
    const { values } = newStep(known, id);
    dispatch({ type: "step replaced", id, operation: known.name, values });
  }

  function remove() {
    dispatch({ type: "step removed", id });
    onRemoved(title);
  }

  const eye = isOff ? texts.filters.switchOn(title) : texts.filters.switchOff(title);
  return (
    <div className="step-buttons">
      {operation && <Tool icon="help" label={texts.filters.helpOn(title)} onPress={onHelp} />}
      <Tool
        icon={isOff ? "eyeOff" : "eye"}
        label={eye}
        onPress={() => dispatch({ type: "step switched", id })}
      />
      <Menu label={<Icon name="dots" />} title={texts.filters.more(title)} isIcon>
        <button type="button" disabled={place === 0} onClick={() => onMove(-1)}>
          {texts.filters.moveUp(title)}
        </button>
        <button type="button" disabled={place === last} onClick={() => onMove(1)}>
          {texts.filters.moveDown(title)}
        </button>
        <button
          type="button"
          disabled={!hasRoom}
          onClick={() => dispatch({ type: "step duplicated", id, copy: randomHex(4) })}
        >
          {texts.filters.duplicate(title)}
        </button>
        {!isTable && (
          <button type="button" onClick={() => dispatch({ type: "step kept", id })}>
            {isKept ? texts.inputs.keepNot : texts.inputs.keep}
          </button>
        )}
        {operation && (
          <button type="button" onClick={() => reset(operation)}>
            {texts.filters.reset(title)}
          </button>
        )}
      </Menu>
      <Tool icon="cross" label={texts.filters.remove(title)} onPress={remove} />
    </div>
  );
}

interface ToolProps {
  readonly icon: IconName;
  readonly label: string;
  onPress(): void;
}

function Tool({ icon, label, onPress }: ToolProps) {
  return (
    <button type="button" className="plain tool" aria-label={label} title={label} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}
