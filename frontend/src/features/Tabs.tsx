import { texts } from "../texts";
import { Icon, type IconName } from "./Icon";

export type Tab = "images" | "viewer" | "filters";

const TABS: readonly { tab: Tab; icon: IconName }[] = [
  { tab: "images", icon: "folder" },
  { tab: "viewer", icon: "image" },
  { tab: "filters", icon: "chart" },
];

/** Tabs that choose one of the three columns on a small screen; larger ones show all columns. */
export function Tabs({ tab, onTab }: { tab: Tab; onTab(tab: Tab): void }) {
  return (
    <nav className="tabs" aria-label={texts.tabs.label}>
      {TABS.map(({ tab: each, icon }) => (
        <button
          key={each}
          type="button"
          data-tab={each}
          aria-pressed={tab === each}
          onClick={() => onTab(each)}
        >
          <Icon name={icon} />
          {texts.tabs[each]}
        </button>
      ))}
    </nav>
  );
}
