"""The broker's address with its user and password, when they are kept apart in a secret."""

import json
from urllib.parse import quote, urlsplit, urlunsplit

from config.contract.settings import SettingError


def signed_in(url: str, secret: str) -> str:
    """Put user and password into a broker's address.

    Parameters
    ----------
    url : str
        ``amqps://host:port``
    secret : str
        JSON with ``username`` and ``password``.

    Raises
    ------
    SettingError
        If the secret is not such JSON; the text does not show it.
    """
    try:
        found = json.loads(secret)
        user, password = str(found["username"]), str(found["password"])
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError("BROKER_SECRET: must hold JSON with username and password") from error
    place = urlsplit(url)
    host = place.netloc.rpartition("@")[2]
    at = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"
    return urlunsplit((place.scheme, at, place.path, place.query, ""))
