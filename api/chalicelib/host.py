"""The schedules of a host that has worker and broker and sleeps between batches.

`python -m chalicelib.host` sweeps and measures the backlog, and ends when the host has been idle
for `HOST_IDLE_SECONDS`. Its unit then powers the host off. The API, which cannot reach the broker
of the host, writes rows only; this sweep sends their messages.
"""

import sys
import time
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import backlog, log, sweep
from chalicelib.queue import BrokerError
from chalicelib.services import Services, services
from config.contract.settings import SettingError

# A batch that comes while the host is awake waits for its message this long.
PAUSE_SECONDS = 5.0


def run(
    services: Services,
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Sweep and measure until no image has waited or been in work for `host_idle_seconds`."""
    busy_at = now()
    while now() - busy_at < services.settings.host_idle_seconds:
        pause(PAUSE_SECONDS)
        if has_work(services):
            busy_at = now()
    log.event("host_idle", seconds=services.settings.host_idle_seconds)


def has_work(services: Services) -> bool:
    """Sweep once; return whether images wait or are in work, or whether that is not known."""
    try:
        done = sweep.run(services)
        figures = backlog.measure(services)
    except (BrokerError, BotoCoreError, ClientError) as error:
        log.trouble("host_not_measured", reason=str(error))
        return True
    return bool(figures["Waiting"] or figures["InHand"] or done.get("published_again"))


def main() -> int:
    """Run until the host is idle; return 0 then, and 2 for a setting that cannot be used."""
    log.set_up()
    try:
        run(services())
    except SettingError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
