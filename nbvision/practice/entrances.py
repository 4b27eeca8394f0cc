"""The doors of the clouds: the Messages API again, each with its own key, ids and limits."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from nbvision.practice import gate
from nbvision.practice.answering import CountDoor, MessagesDoor
from nbvision.practice.doors import Door, House, ModelDoor, ModelsDoor
from nbvision.practice.files import FileContentDoor, FileDoor, FilesDoor
from nbvision.practice.places import (
    AWS,
    BEDROCK_MESSAGES,
    FOUNDRY,
    GOOGLE_CLOUD,
    MANTLE,
    VERTEX,
    Place,
    counting,
)
from nbvision.practice.rejections import Rejected, aws_error, azure_error, google_error

__all__ = ["ADDRESSES", "entrances"]

Shape = Callable[[Rejected], tuple[int, dict[str, object]]]
_PROJECT = "/v1/projects/practice/locations/global"


def _aws_shape(rejected: Rejected) -> tuple[int, dict[str, object]]:
    status, _, body = aws_error(rejected)
    return status, body


@dataclass(frozen=True, slots=True)
class Entrance:
    """One cloud's way in.

    Attributes
    ----------
    address
        What a client takes as ``base_url``, after the server's own.
    place
        What is taken there.
    check_key
        Lets in, or raises.
    shape
        How the cloud itself says no, before the service behind it is asked.
    counts, lists_models
        Whether it counts tokens and lists models.
    needs_workspace
        Whether a header names the workspace.
    version_stands
        Whether the API's version is a header, or a field of the body.
    files_beta
        What the header ``anthropic-beta`` must name wherever files are stored or named; empty
        where they are no beta.
    """

    address: str
    place: Place
    check_key: Callable[[Mapping[str, str], str], None]
    shape: Shape
    counts: bool = True
    lists_models: bool = False
    needs_workspace: bool = False
    version_stands: str = "in header"
    files_beta: str = ""


_BEDROCK_MESSAGES = Entrance(
    "/bedrock-runtime/anthropic",
    BEDROCK_MESSAGES,
    partial(gate.check_aws, service="bedrock"),
    _aws_shape,
    counts=False,
)
_MANTLE = Entrance(
    "/bedrock-mantle/anthropic",
    MANTLE,
    partial(gate.check_aws, service="bedrock-mantle"),
    _aws_shape,
)
_VERTEX = Entrance("/vertex/v1", VERTEX, gate.check_bearer, google_error, version_stands="in body")
_GOOGLE_CLOUD = Entrance(
    f"/google-cloud{_PROJECT}/workspaces/practice/invoke",
    GOOGLE_CLOUD,
    gate.check_bearer,
    google_error,
    lists_models=True,
)
_FOUNDRY = Entrance("/foundry/anthropic", FOUNDRY, gate.check_azure, azure_error)
_AWS = Entrance(
    "/aws",
    AWS,
    partial(gate.check_aws, service="aws-external-anthropic"),
    _aws_shape,
    lists_models=True,
    needs_workspace=True,
    files_beta="files-api-2025-04-14",
)
_ALL = (_BEDROCK_MESSAGES, _MANTLE, _VERTEX, _GOOGLE_CLOUD, _FOUNDRY, _AWS)

ADDRESSES = {entrance.place.name: entrance.address for entrance in _ALL}
"""Where each cloud's door is, by the name of its place."""


class CloudDoor(Door):
    """What the clouds' doors have in common."""

    entrance: Entrance

    def initialize(self, house: House, entrance: Entrance | None = None) -> None:
        """Take over what is this cloud's own."""
        super().initialize(house)
        assert entrance is not None  # noqa: S101 - every route names one
        self.entrance = entrance
        taken = entrance.place
        if not self.knows_files():
            taken = replace(taken, source_types=taken.source_types - {"file"})
        self.place = counting(taken) if self.place.is_counting else taken
        self.is_at_gate = False

    def check_key(self) -> None:
        """Let in whom the cloud knows."""
        self.is_at_gate = True
        self.entrance.check_key(self.request.headers, self.house.token)
        self.is_at_gate = False

    def check_headers(self) -> None:
        """Look for the version where it stands, and for the workspace."""
        if self.entrance.version_stands == "in body":
            self.check_content_type(("application/json",))
        else:
            super().check_headers()
        if self.entrance.needs_workspace and not self.request.headers.get("anthropic-workspace-id"):
            raise Rejected(400, "anthropic-workspace-id: header is required")

    def knows_files(self) -> bool:
        """Whether this request may store or name files, which can be a beta."""
        wanted = self.entrance.files_beta
        named = self.request.headers.get("anthropic-beta", "").split(",")
        return not wanted or wanted in [name.strip() for name in named]

    def write_rejection(self, rejected: Rejected) -> None:
        """Say no as the cloud does at its gate, and as the Messages API behind it."""
        if not self.is_at_gate:
            super().write_rejection(rejected)
            return
        status, body = self.entrance.shape(rejected)
        self.write_json(body, status)

    def name_request(self) -> None:
        """Name the request; AWS gives it a name of its own."""
        super().name_request()
        if self.entrance.shape is _aws_shape:
            self.set_header("x-amzn-RequestId", str(uuid.uuid4()))


class CloudMessagesDoor(CloudDoor, MessagesDoor):
    """``POST …/v1/messages``."""


class CloudCountDoor(CloudDoor, CountDoor):
    """``POST …/v1/messages/count_tokens``."""


class CloudModelsDoor(CloudDoor, ModelsDoor):
    """``GET …/v1/models``."""


class CloudModelDoor(CloudDoor, ModelDoor):
    """``GET …/v1/models/{id}``."""


class CloudShelfDoor(CloudDoor):
    """What the doors of the Files API have in common."""

    def check_headers(self) -> None:
        """Look for the beta header too, where files are a beta."""
        super().check_headers()
        if not self.knows_files():
            wanted = self.entrance.files_beta
            raise Rejected(400, f"anthropic-beta: {wanted} is required to use files here")


class CloudFilesDoor(CloudShelfDoor, FilesDoor):
    """``POST …/v1/files`` and ``GET …/v1/files``."""


class CloudFileDoor(CloudShelfDoor, FileDoor):
    """``GET`` and ``DELETE …/v1/files/{id}``."""


class CloudFileContentDoor(CloudShelfDoor, FileContentDoor):
    """``GET …/v1/files/{id}/content``."""


class VertexDoor(CloudMessagesDoor):
    """``POST …/models/{model}:rawPredict`` and ``:streamRawPredict``."""

    async def post(self, model_id: str = "") -> None:
        """Answer for the model in the address."""
        await self.ask(model_id)


class VertexCountDoor(CloudCountDoor):
    """``POST …/models/count-tokens:rawPredict``."""

    def initialize(self, house: House, entrance: Entrance | None = None) -> None:
        """Take the version in the body here too."""
        super().initialize(house, entrance)
        self.place = counting(VERTEX, "anthropic_version")


class UnknownOperationDoor(CloudDoor):
    """What Bedrock's runtime says where nothing is: an error that looks like a success."""

    async def post(self) -> None:
        """Answer."""
        if not self.is_turned_away:
            kind = "com.amazon.coral.service#UnknownOperationException"
            self.write_json({"Output": {"__type": kind}, "Version": "1.0"})
        await self.finish()

    get = post


def entrances(house: House) -> list[tuple[str, type[Door], dict[str, Any]]]:
    """Return the clouds' addresses and who answers there."""
    routes: list[tuple[str, type[Door], dict[str, Any]]] = []
    for entrance in (each for each in _ALL if each is not _VERTEX):
        known = {"house": house, "entrance": entrance}
        at = entrance.address
        routes.append((rf"{at}/v1/messages", CloudMessagesDoor, known))
        if entrance.counts:
            routes.append((rf"{at}/v1/messages/count_tokens", CloudCountDoor, known))
        if entrance.lists_models:
            routes.append((rf"{at}/v1/models", CloudModelsDoor, known))
            routes.append((rf"{at}/v1/models/([^/]+)", CloudModelDoor, known))
        if "file" in entrance.place.source_types:
            routes.append((rf"{at}/v1/files", CloudFilesDoor, known))
            routes.append((rf"{at}/v1/files/([^/]+)", CloudFileDoor, known))
            routes.append((rf"{at}/v1/files/([^/]+)/content", CloudFileContentDoor, known))
    known = {"house": house, "entrance": _BEDROCK_MESSAGES}
    routes.append((rf"{_BEDROCK_MESSAGES.address}/.*", UnknownOperationDoor, known))
    known = {"house": house, "entrance": _VERTEX}
    at = rf"{_VERTEX.address}/projects/[^/]+/locations/[^/]+/publishers/anthropic/models"
    routes.append((rf"{at}/count-tokens:rawPredict", VertexCountDoor, known))
    routes.append((rf"{at}/([^/:]+):(?:streamR|r)awPredict", VertexDoor, known))
    return routes
