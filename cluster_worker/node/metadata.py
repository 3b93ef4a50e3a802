"""EC2's metadata service, as far as it tells that a node must go (version 2, with tokens)."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime

SESSION = "/latest/api/token"
INSTANCE = "/latest/meta-data/instance-id"
LIFECYCLE = "/latest/meta-data/autoscaling/target-lifecycle-state"
SPOT = "/latest/meta-data/spot/instance-action"

SESSION_SECONDS = 21_600
# The service is one hop away; a node that must go has to hear of it within two seconds.
ANSWER_SECONDS = 1.0

# No proxy: the address means something on this machine only.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Notice:
    """Why a node must go, and how many seconds it has, if that is known."""

    reason: str
    seconds: float | None = None


@dataclass
class Metadata:
    """The service at an address.

    Attributes
    ----------
    endpoint : str
        ``http://169.254.169.254`` on EC2.
    """

    endpoint: str
    token: str = field(default="", repr=False)

    def instance(self) -> str:
        """Give the instance's id; empty if the service does not answer."""
        return self.get(INSTANCE)

    def notice(self) -> Notice | None:
        """Ask whether the node must go: its group says so, or EC2 wants a spot instance back."""
        if self.get(LIFECYCLE) == "Terminated":
            return Notice("the group ends this node")
        action = self.get(SPOT)
        if not action:
            return None
        return Notice("EC2 takes this spot instance back", seconds_until(action))

    def get(self, path: str) -> str:
        """Read one value; empty where there is none and while the service does not answer."""
        for _ in range(2):
            try:
                self.token = self.token or self.ask(
                    "PUT", SESSION, {"X-aws-ec2-metadata-token-ttl-seconds": str(SESSION_SECONDS)}
                )
                return self.ask("GET", path, {"X-aws-ec2-metadata-token": self.token})
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 401:
                    return ""
                # It has run out: once more, with a fresh one.
                self.token = ""
            except OSError:
                return ""
        return ""

    def ask(self, method: str, path: str, headers: dict[str, str]) -> str:
        """Send one request."""
        request = urllib.request.Request(self.endpoint + path, method=method, headers=headers)  # noqa: S310 - a setting
        with OPENER.open(request, timeout=ANSWER_SECONDS) as answer:
            text: bytes = answer.read(4096)
            return text.decode()


def seconds_until(action: str) -> float | None:
    """Read how long a spot instance has, such as ``{"action": "stop", "time": "…Z"}``."""
    try:
        at = datetime.fromisoformat(str(json.loads(action)["time"]))
        return (at - datetime.now(UTC)).total_seconds()
    except (ValueError, KeyError, TypeError):
        return None
