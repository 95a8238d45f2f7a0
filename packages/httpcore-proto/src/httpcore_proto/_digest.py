"""Digest access authentication (RFC 7616; RFC 2617 and RFC 2069 with old peers).

The mathematics alone. To count requests, to remember which nonce was given to whom, and
to keep credentials within their origin is the caller's part.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from ._abnf import check_text
from ._auth import Challenge
from ._ext_value import decode_ext_value, encode_ext_value

# Name in a challenge -> hashlib's name. SHA and SHA-512 are not registered, but were
# always sent and understood by clients.
_HASHES: Final = {
    "MD5": "md5",
    "SHA": "sha1",
    "SHA-256": "sha256",
    "SHA-512": "sha512",
    "SHA-512-256": "sha512_256",
}
# Upper-case spelling, the dashes of the name or none -> hashlib's name, and whether the
# key is one of a session. Some builds of OpenSSL lack some of the hashes.
_ALGORITHMS: Final[dict[str, tuple[str, bool]]] = {
    spelling + suffix: (digest, bool(suffix))
    for name, digest in _HASHES.items()
    if digest in hashlib.algorithms_available
    for spelling in (name, name.replace("-", ""))
    for suffix in ("", "-SESS")
}
# Best first: auth-int protects the body too.
_QOPS: Final = ("auth-int", "auth")
# RFC 7616 section 3.4: nc-value = 8LHEX.
_NC: Final = re.compile(r"[0-9a-f]{8}")
_MAX_NC: Final = 0xFFFFFFFF


def _find_algorithm(algorithm: str) -> tuple[str, bool] | None:
    # upper() makes ASCII of some other letters.
    return _ALGORITHMS.get(algorithm.upper()) if algorithm.isascii() else None


def _algorithm(algorithm: str) -> tuple[str, bool]:
    found = _find_algorithm(algorithm)
    if found is None:
        raise ValueError(
            f"digest algorithm {algorithm[:80]!r} is not one of {', '.join(_HASHES)}, "
            "with or without -sess, or the hash is not there"
        )
    return found


def _hash(name: str, data: str | bytes) -> str:
    # Text from the peer may hold bytes that are not UTF-8: they are hashed as received.
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    return hashlib.new(name, raw, usedforsecurity=False).hexdigest()


def _is_true(text: str | None) -> bool:
    return text is not None and text.isascii() and text.lower() == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestChallenge:
    """What a server asks for (RFC 7616 section 3.3).

    Attributes:
        realm: Name of the protected space; may be empty.
        nonce: The server's nonce.
        opaque: To be sent back as it is, None if there was none.
        algorithm: As the server spelled it; MD5 if it said nothing. Case does not count,
            nor whether there is a dash in a name such as SHA-256.
        qop: Those of `auth-int` and `auth` that the server offers, in this order. Empty
            asks for the form of RFC 2069.
        stale: Whether only the nonce was wrong, so that no other password is needed.
        userhash: Whether the user name may be sent as a hash.
        domain: URIs of the protection space; empty for all of the origin.
        charset: `UTF-8` if the server said so, else None.
    """

    realm: str
    nonce: str
    opaque: str | None = None
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ()
    stale: bool = False
    userhash: bool = False
    domain: tuple[str, ...] = ()
    charset: str | None = None

    @classmethod
    def from_challenge(cls, challenge: Challenge) -> DigestChallenge | None:
        """Read a challenge that `parse_challenges` returned.

        Returns:
            The challenge; None if the scheme is not Digest, realm or nonce is missing, the
            nonce is empty, or there is no algorithm or no qop that is known here.
        """
        parameters = challenge.parameters
        realm = parameters.get("realm")
        nonce = parameters.get("nonce")
        algorithm = parameters.get("algorithm", "MD5")
        if challenge.scheme != "digest" or realm is None or not nonce:
            return None
        if _find_algorithm(algorithm) is None:
            return None
        offered = parameters.get("qop", "")
        options = {option.strip(" \t").lower() for option in offered.split(",") if option.isascii()}
        qop = tuple(option for option in _QOPS if option in options)
        if offered.strip(" \t,") and not qop:
            return None
        charset = parameters.get("charset", "")
        return cls(
            realm=realm,
            nonce=nonce,
            opaque=parameters.get("opaque"),
            algorithm=algorithm,
            qop=qop,
            stale=_is_true(parameters.get("stale")),
            userhash=_is_true(parameters.get("userhash")),
            domain=tuple(parameters.get("domain", "").split()),
            charset="UTF-8" if charset.isascii() and charset.upper() == "UTF-8" else None,
        )

    @property
    def preferred_qop(self) -> str | None:
        """What `digest_authorization` uses: `auth-int` before `auth`; None for RFC 2069.

        The body has to be known for `auth-int` alone.

        Raises:
            ValueError: `qop` was set to something else.
        """
        if not self.qop:
            return None
        for option in _QOPS:
            if option in self.qop:
                return option
        raise ValueError(f"qop {self.qop!r} has neither auth-int nor auth")


def digest_ha1(*, username: str, realm: str, password: str, algorithm: str = "MD5") -> str:
    """Return the hash of user name, realm and password that a server may store.

    Of a `-sess` algorithm too it is this hash, not that of a session.

    Returns:
        Hexadecimal digits in lower case.

    Raises:
        ValueError: There is a colon in `username`, which would make it ambiguous; a
            lone surrogate (`UnicodeEncodeError`); or the algorithm is unknown.
    """
    if ":" in username:
        raise ValueError("a user name for Digest authentication cannot contain a colon")
    return _hash(_algorithm(algorithm)[0], f"{username}:{realm}:{password}")


def digest_response(
    *,
    ha1: str,
    nonce: str,
    method: str,
    uri: str,
    algorithm: str = "MD5",
    qop: str | None = None,
    nc: int = 1,
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """Compute `response` (RFC 7616 section 3.4.1), or `rspauth` if `method` is empty.

    Args:
        ha1: What `digest_ha1` returns.
        nonce: The server's nonce.
        method: The request's method, case included.
        uri: The request's target.
        algorithm: As for `DigestChallenge`.
        qop: `auth`, `auth-int`, or None for RFC 2069.
        nc: Number of the request with this nonce, from 1; used with a qop.
        cnonce: The client's nonce; used with a qop or a `-sess` algorithm.
        body: The body, content coding included; used with `auth-int`.

    Returns:
        Hexadecimal digits in lower case.

    Raises:
        ValueError: The algorithm or the qop is unknown, `nc` has more than 8 hexadecimal
            digits or is negative, or there is a lone surrogate (`UnicodeEncodeError`).
    """
    if qop is not None and qop not in _QOPS:
        raise ValueError(f"qop {qop[:80]!r} is neither auth-int nor auth")
    if not 0 <= nc <= _MAX_NC:
        raise ValueError(f"nc {nc} is not 0 to {_MAX_NC}")
    name, session = _algorithm(algorithm)
    if session:
        ha1 = _hash(name, f"{ha1}:{nonce}:{cnonce}")
    a2 = f"{method}:{uri}"
    if qop == "auth-int":
        a2 += f":{_hash(name, body)}"
    ha2 = _hash(name, a2)
    if qop is None:
        return _hash(name, f"{ha1}:{nonce}:{ha2}")
    return _hash(name, f"{ha1}:{nonce}:{nc:08x}:{cnonce}:{qop}:{ha2}")


def _quoted(name: str, value: str) -> str:
    escaped = check_text(value, name).replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


def _composed(challenge: DigestChallenge, text: str) -> str:
    # RFC 7616 section 4: a server that asks for UTF-8 asks for Normalization Form C.
    return text if challenge.charset is None else unicodedata.normalize("NFC", text)


def _check_user(username: str, password: str) -> None:
    for what, text in (("user name", username), ("password", password)):
        # A password is in no message.
        if re.search(r"[\x00-\x1f\x7f]", text) is not None:
            raise ValueError(f"the {what} contains a control character")


def digest_authorization(
    challenge: DigestChallenge,
    *,
    method: str,
    uri: str,
    username: str,
    password: str,
    nc: int,
    cnonce: str,
    body: bytes = b"",
) -> str:
    """Write credentials that answer a challenge (RFC 7616 section 3.4).

    A user name that is not ASCII goes out as `username*`, or hashed if the server takes
    that. For a server that asks for UTF-8, name and password are put into Normalization
    Form C (section 4).

    Args:
        challenge: The challenge.
        method: The request's method as it is sent.
        uri: The request's target as it is sent.
        username: User name, without a colon.
        password: Password.
        nc: Number of the request with this nonce, from 1.
        cnonce: A nonce of the client; not the same again for another server's nonce. With
            a `-sess` algorithm keep to one for as long as the server's nonce lasts.
        body: The body as sent; needed if `challenge.preferred_qop` is `auth-int`.

    Returns:
        The value of an Authorization or Proxy-Authorization field.

    Raises:
        ValueError: There is a control character in a value, a colon in `username`, an
            algorithm or qop that is unknown, or `nc` has more than 8 hexadecimal digits.
    """
    _check_user(username, password)
    username, password = _composed(challenge, username), _composed(challenge, password)
    algorithm, qop = challenge.algorithm, challenge.preferred_qop
    name, session = _algorithm(algorithm)
    ha1 = digest_ha1(
        username=username, realm=challenge.realm, password=password, algorithm=algorithm
    )
    response = digest_response(
        ha1=ha1,
        nonce=challenge.nonce,
        method=method,
        uri=uri,
        algorithm=algorithm,
        qop=qop,
        nc=nc,
        cnonce=cnonce,
        body=body,
    )
    if challenge.userhash:
        fields = [_quoted("username", _hash(name, f"{username}:{challenge.realm}"))]
    elif username.isascii():
        fields = [_quoted("username", username)]
    else:
        fields = [f"username*={encode_ext_value(username)}"]
    fields += [
        _quoted("realm", challenge.realm),
        _quoted("nonce", challenge.nonce),
        _quoted("uri", uri),
        f"algorithm={algorithm}",
        _quoted("response", response),
    ]
    if challenge.opaque is not None:
        fields.append(_quoted("opaque", challenge.opaque))
    if qop is not None:
        fields += [f"qop={qop}", f"nc={nc:08x}"]
    if qop is not None or session:
        fields.append(_quoted("cnonce", cnonce))
    if challenge.userhash:
        fields.append("userhash=true")
    return "Digest " + ", ".join(fields)


def verify_digest(
    challenge: DigestChallenge,
    credentials: Challenge,
    *,
    method: str,
    uri: str,
    username: str,
    ha1: str,
    body: bytes = b"",
) -> bool:
    """Whether credentials answer a challenge of ours, for a server (RFC 7616 section 3.4).

    What it takes from the credentials has to agree with the challenge: realm, nonce, opaque,
    algorithm and qop. The nonce being old and `nc` being used already (the value is eight
    hexadecimal digits) is for the caller to find out.

    Args:
        challenge: What the server asked for, as it was sent.
        credentials: What `parse_credentials` returned.
        method: The request's method.
        uri: The request's target, which must be what the client says.
        username: The user; in Normalization Form C if the challenge asked for UTF-8.
        ha1: What `digest_ha1` returned for that user, realm and password in the
            challenge's algorithm.
        body: The body as received; needed for `auth-int`.

    Raises:
        ValueError: The challenge's algorithm is unknown, or there is a lone surrogate in a
            value of ours (`UnicodeEncodeError`).
    """
    name, _ = wanted = _algorithm(challenge.algorithm)
    sent = credentials.parameters
    response, cnonce, qop = sent.get("response", ""), sent.get("cnonce", ""), sent.get("qop")
    if (
        credentials.scheme != "digest"
        or sent.get("realm") != challenge.realm
        or sent.get("nonce") != challenge.nonce
        or sent.get("opaque") != challenge.opaque
        or sent.get("uri") != uri
        or _find_algorithm(sent.get("algorithm", "MD5")) != wanted
        # Who was offered a qop and leaves it out wants less protection.
        or (qop not in challenge.qop if challenge.qop else qop is not None)
        or not (response.isascii() and cnonce.isascii())
    ):
        return False
    nc = sent.get("nc", "")
    if qop is not None and not (cnonce and _NC.fullmatch(nc)):
        return False
    if challenge.userhash and _is_true(sent.get("userhash")):
        named = _hash(name, f"{username}:{challenge.realm}")
        claimed = sent.get("username")
    else:
        named = username
        extended = sent.get("username*")
        claimed = sent.get("username") if extended is None else decode_ext_value(extended)
    if claimed != named or ("username" in sent and "username*" in sent):
        return False
    expected = digest_response(
        ha1=ha1,
        nonce=challenge.nonce,
        method=method,
        uri=uri,
        algorithm=challenge.algorithm,
        qop=qop,
        nc=int(nc, 16) if qop is not None else 0,
        cnonce=cnonce,
        body=body,
    )
    return compare_digest(response, expected)


def verify_rspauth(
    challenge: DigestChallenge,
    info: Mapping[str, str],
    *,
    uri: str,
    username: str,
    password: str,
    nc: int,
    cnonce: str,
    body: bytes = b"",
) -> bool:
    """Whether a server knows the password too, for a client (RFC 7616 section 3.5).

    Args:
        challenge: The challenge that was answered.
        info: Authentication-Info, as `parse_auth_info` returns it. Its `nextnonce` is
            the nonce for the next request.
        uri: As it was given to `digest_authorization`, and so the next four.
        username: User name.
        password: Password.
        nc: Number of the request.
        cnonce: The client's nonce.
        body: The body of the response as received; used if `info` has the qop `auth-int`.

    Returns:
        False also if there is no `rspauth`, or if `cnonce` or `nc` are those of another
        request.

    Raises:
        ValueError: As for `digest_authorization`.
    """
    _check_user(username, password)
    rspauth, qop = info.get("rspauth", ""), info.get("qop", challenge.preferred_qop)
    if (
        not rspauth.isascii()
        or info.get("cnonce", cnonce) != cnonce
        or info.get("nc", f"{nc:08x}") != f"{nc:08x}"
        or (qop is not None and qop not in challenge.qop)
    ):
        return False
    algorithm = challenge.algorithm
    ha1 = digest_ha1(
        username=_composed(challenge, username),
        realm=challenge.realm,
        password=_composed(challenge, password),
        algorithm=algorithm,
    )
    expected = digest_response(
        ha1=ha1,
        nonce=challenge.nonce,
        method="",
        uri=uri,
        algorithm=algorithm,
        qop=qop,
        nc=nc,
        cnonce=cnonce,
        body=body,
    )
    return compare_digest(rspauth, expected)
