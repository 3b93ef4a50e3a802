"""Who sent a request: the network address that the site's origin saw."""

import hmac

from chalice.app import Request

from config.contract.visitor import ADDRESS_HEADER, KEY_HEADER


def address_of(request: Request, key: str) -> str:
    """Return the address of the client of a request.

    CloudFront or the front writes the address that it saw into a header, and its key into another.
    Without the right key the request did not come by the origin, and whatever it says of itself is
    not believed: its address is the one that the gateway saw.

    Parameters
    ----------
    request : Request
        The request.
    key : str
        The origin's key; empty if there is no origin before the API.
    """
    told = request.headers.get(KEY_HEADER, "")
    if key and hmac.compare_digest(told.encode(), key.encode()):
        return str(request.headers.get(ADDRESS_HEADER, ""))
    return str(request.context.get("identity", {}).get("sourceIp", ""))
