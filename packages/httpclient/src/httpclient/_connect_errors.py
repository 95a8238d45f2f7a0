"""What the system, TLS and resolvers say, as the client's errors about a host."""

from __future__ import annotations

import contextlib
import socket
import ssl as ssl_module
from collections.abc import Iterator

from ._address_policy import RefusedAddressError
from ._errors import (
    AddressNotAllowedError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
)
from ._url import ConnectionKey


@contextlib.contextmanager
def reported(
    key: ConnectionKey, other: type[ClientConnectorError] = ClientConnectorError
) -> Iterator[None]:
    """Raise errors of a connection attempt as errors of the client.

    Args:
        key: Whom it is about.
        other: What anything becomes that is neither about names nor TLS nor a policy.
    """
    try:
        yield
    except ClientError:
        raise  # some are OSErrors, too
    except ssl_module.SSLCertVerificationError as exc:
        raise ClientConnectorCertificateError(key, exc) from exc
    except ssl_module.SSLError as exc:
        raise ClientConnectorSSLError(key, exc) from exc
    except socket.gaierror as exc:
        raise ClientConnectorDNSError(key, exc) from exc
    except RefusedAddressError as exc:
        raise AddressNotAllowedError(key, exc) from exc
    except OSError as exc:
        raise other(key, exc) from exc
