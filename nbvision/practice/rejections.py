"""How the practice server says no, in the words and shapes of either service."""

from dataclasses import dataclass

__all__ = ["Rejected", "api_error", "aws_error", "azure_error", "google_error"]

_API_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
# Bedrock's runtime answers a broken request, a missing key and a lack of capacity in its own
# statuses and names (boto3 1.44.5, service model "bedrock-runtime").
_AWS = {
    400: (400, "ValidationException"),
    401: (403, "UnrecognizedClientException"),
    403: (403, "AccessDeniedException"),
    404: (404, "ResourceNotFoundException"),
    405: (404, "UnknownOperationException"),
    413: (413, "RequestEntityTooLargeException"),
    429: (429, "ThrottlingException"),
    500: (500, "InternalServerException"),
    529: (503, "ServiceUnavailableException"),
}
_GOOGLE = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}


@dataclass
class Rejected(Exception):
    """One request is refused.

    Attributes
    ----------
    status
        HTTP status as the Anthropic API gives it.
    message
        The words of the error's body.
    aws_type
        The exception's name on Bedrock, where it is not the one that follows from the status.
    retry_after_seconds
        What the ``retry-after`` header says; no header if None.
    error_code
        What the API's details name, where they do.
    """

    status: int
    message: str
    aws_type: str = ""
    retry_after_seconds: int | None = None
    error_code: str = ""

    def __str__(self) -> str:
        return self.message


def api_error(rejected: Rejected, request_id: str) -> tuple[int, dict[str, object]]:
    """Return status and body as the Anthropic API sends them.

    >>> status, body = api_error(Rejected(404, "model: claude-0"), "req_1")
    >>> status, body["error"]
    (404, {'type': 'not_found_error', 'message': 'model: claude-0'})
    """
    kind = _API_TYPES.get(rejected.status, "invalid_request_error")
    error: dict[str, object] = {"type": kind, "message": rejected.message}
    if rejected.error_code:
        error["details"] = {"error_code": rejected.error_code}
    return rejected.status, {"type": "error", "error": error, "request_id": request_id}


def aws_error(rejected: Rejected) -> tuple[int, str, dict[str, object]]:
    """Return status, ``x-amzn-ErrorType`` and body as Bedrock sends them.

    >>> aws_error(Rejected(529, "try again"))
    (503, 'ServiceUnavailableException', {'message': 'try again'})
    """
    status, kind = _AWS.get(rejected.status, (rejected.status, "ValidationException"))
    if rejected.aws_type:
        kind = rejected.aws_type
    return status, kind, {"message": rejected.message}


def google_error(rejected: Rejected) -> tuple[int, dict[str, object]]:
    """Return status and body as Google Cloud sends them.

    >>> google_error(Rejected(401, "who?"))[1]
    {'error': {'code': 401, 'message': 'who?', 'status': 'UNAUTHENTICATED'}}
    """
    kind = _GOOGLE.get(rejected.status, "INVALID_ARGUMENT")
    error = {"code": rejected.status, "message": rejected.message, "status": kind}
    return rejected.status, {"error": error}


def azure_error(rejected: Rejected) -> tuple[int, dict[str, object]]:
    """Return status and body as Microsoft's gateway sends them.

    >>> azure_error(Rejected(401, "who?"))[1]
    {'error': {'code': '401', 'message': 'who?'}}
    """
    error = {"code": str(rejected.status), "message": rejected.message}
    return rejected.status, {"error": error}
