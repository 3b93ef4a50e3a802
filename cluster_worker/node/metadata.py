"""EC2's metadata service (version 2, with tokens): what a node is, and when it must terminate."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime

SESSION = "/latest/api/token"
INSTANCE = "/latest/meta-data/instance-id"
ADDRESS = "/latest/meta-data/local-ipv4"
ZONE = "/latest/meta-data/placement/availability-zone"
LIFECYCLE = "/latest/meta-data/autoscaling/target-lifecycle-state"
SPOT = "/latest/meta-data/spot/instance-action"

SESSION_SECONDS = 21_600
# The service is one network hop away. A node must notice its termination within two seconds.
ANSWER_SECONDS = 1.0

# No proxy: the address is valid on this machine only.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Notice:
    """Why a node must terminate, and how many seconds it has; None if that is not known."""

    reason: str
    seconds: float | None = None


@dataclass
class Metadata:
    """A client of the metadata service.

    Attributes
    ----------
    endpoint : str
        ``http://169.254.169.254`` on EC2.
    token : str
        Of the session, which is renewed when it has expired; empty before the first request.
    """

    endpoint: str
    token: str = field(default="", repr=False)

    def instance(self) -> str:
        """Return the id of the instance; empty if the service does not answer."""
        return self.get(INSTANCE)

    def address(self) -> str:
        """Return the private address of the instance; empty if the service does not answer."""
        return self.get(ADDRESS)

    def zone(self) -> str:
        """Return the availability zone; empty if the service does not answer."""
        return self.get(ZONE)

    def notice(self) -> Notice | None:
        """Return the notice that the group or EC2 terminates this instance, or None."""
        if self.get(LIFECYCLE) == "Terminated":
            return Notice("the group ends this node")
        action = self.get(SPOT)
        if not action:
            return None
        return Notice("EC2 takes this spot instance back", seconds_until(action))

    def get(self, path: str) -> str:
        """Read one value; empty if it does not exist or the service does not answer."""
        for _ in range(2):
            try:
                self.token = self.token or self.request(
                    "PUT", SESSION, {"X-aws-ec2-metadata-token-ttl-seconds": str(SESSION_SECONDS)}
                )
                return self.request("GET", path, {"X-aws-ec2-metadata-token": self.token})
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 401:
                    return ""
                # The token has expired: try once more with a new one.
                self.token = ""
            except OSError:
                return ""
        return ""

    def request(self, method: str, path: str, headers: dict[str, str]) -> str:
        """Send one request, and return the text of the response.

        Raises
        ------
        OSError
            If there is no response, or it is an error (`HTTPError`).
        """
        request = urllib.request.Request(self.endpoint + path, method=method, headers=headers)  # noqa: S310 - a setting
        with OPENER.open(request, timeout=ANSWER_SECONDS) as answer:
            text: bytes = answer.read(4096)
            return text.decode()


def seconds_until(action: str) -> float | None:
    """Compute how many seconds a spot instance has left; None if the text is not understood.

    Parameters
    ----------
    action : str
        JSON such as ``{"action": "stop", "time": "…Z"}``.
    """
    try:
        at = datetime.fromisoformat(str(json.loads(action)["time"]))
        return (at - datetime.now(UTC)).total_seconds()
    except (ValueError, KeyError, TypeError):
        return None
