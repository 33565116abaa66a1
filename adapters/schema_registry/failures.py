"""What a failed request to a schema registry means: Outage or Fatal, with a sentence that says what to do.

    no connection, no answer in time, 408, 429, any 5xx          → Outage
    401, 403                                                     → Fatal: credentials, rights
    a certificate that one side does not trust                   → Fatal
    any other status, an answer that is no registry's            → Fatal: the address is not a registry's

That a registry does not have a schema is none of these; it answers so with a code of its own (:func:`is_unknown`).
A bare 404, without that code, is another server's: taking it for an unknown schema would turn a whole topic into dead
letters over a wrong path in the address.
"""

from http import HTTPStatus

from confluent_kafka.schema_registry import SchemaRegistryError
from confluent_kafka.schema_registry.error import OAuthTokenError

from stream.errors import EmbedstreamError, Fatal, Outage

_UNKNOWN_CODES = frozenset({40401, 40402, 40403})
"""Subject, version and schema not found."""
_LONGEST_SAID = 200
# OpenSSL's words, with and without its underscores.
_REGISTRY_DISTRUSTED = ("certificate verify failed",)
_CLIENT_DISTRUSTED = (
    "alert certificate",
    "alert bad certificate",
    "alert unknown ca",
    "alert unsupported certificate",
)


def is_unknown(error: Exception) -> bool:
    """Whether a registry answered that it does not have what was asked for."""
    return (
        isinstance(error, SchemaRegistryError)
        and error.http_status_code == HTTPStatus.NOT_FOUND
        and error.error_code in _UNKNOWN_CODES
    )


def failure(error: Exception, doing: str, url: str, retry_after_s: float) -> EmbedstreamError:
    """The error to raise. ``doing`` tells what was asked ("asked for schema 7")."""
    happened = f"The schema registry at {url}, {doing},"
    if isinstance(error, SchemaRegistryError):
        return _refused(error, happened, retry_after_s)
    if isinstance(error, OAuthTokenError):
        return Outage(f"No token for the schema registry at {url} is to be had: {_first_line(error)}.", retry_after_s)
    if isinstance(error, OSError) or _is_transport(error):
        return _distrust(error, url) or Outage(f"{happened} cannot be reached ({_first_line(error)}).", retry_after_s)
    return Fatal(
        f"{happened} gave an answer that is no registry's ({_first_line(error)}); correct url in [registry]."
    )


def _distrust(error: Exception, url: str) -> Fatal | None:
    said = str(error).lower().replace("_", " ")
    if any(words in said for words in _REGISTRY_DISTRUSTED):
        return Fatal(
            f"The certificate of the schema registry at {url} is not one that this client trusts "
            f"({_first_line(error)}); set ssl.ca.location in [registry] to the authority that signed it."
        )
    if any(words in said for words in _CLIENT_DISTRUSTED):
        return Fatal(
            f"The schema registry at {url} refuses this client's certificate ({_first_line(error)}); set "
            "ssl.certificate.location and ssl.key.location in [registry] to one that it trusts."
        )
    return None


def _refused(error: SchemaRegistryError, happened: str, retry_after_s: float) -> EmbedstreamError:
    status = error.http_status_code
    said = f"HTTP {status}: {_first_line(error.error_message)}"
    if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or status >= 500:
        return Outage(f"{happened} cannot answer now ({said}).", retry_after_s)
    if status == HTTPStatus.UNAUTHORIZED:
        return Fatal(
            f"{happened} refuses the credentials ({said}); correct user and password, or the bearer.auth properties, "
            "in [registry]."
        )
    if status == HTTPStatus.FORBIDDEN:
        return Fatal(f"{happened} does not let this user read it ({said}); grant the right to read schemas.")
    return Fatal(f"{happened} answers as no registry does ({said}); correct url in [registry].")


def _is_transport(error: Exception) -> bool:
    """The client's HTTP library is one of two, whichever is installed; both call such errors by this name."""
    return any(each.__name__ == "TransportError" for each in type(error).__mro__)


def _first_line(said: object) -> str:
    lines = str(said).strip().splitlines()
    return lines[0][:_LONGEST_SAID].rstrip(".") if lines else type(said).__name__
