"""The doors of the Files API: upload, list, look at, delete.

A file may be as large as a request, 32 MB: pictures are smaller, and memory is the kernel's.
The service takes 500 MB.
"""

from tornado.httputil import HTTPFile, HTTPInputError, parse_multipart_form_data

from nbvision.practice.doors import Door
from nbvision.practice.rejections import Rejected
from nbvision.practice.stored_files import as_seconds

__all__ = ["FileContentDoor", "FileDoor", "FilesDoor"]

_FORM = "multipart/form-data"


class FilesDoor(Door):
    """``POST /v1/files`` and ``GET /v1/files``."""

    def check_content_type(self, taken: tuple[str, ...]) -> None:  # noqa: ARG002 - the base's
        """Take forms: files travel in no other way."""
        super().check_content_type((_FORM,))

    async def post(self) -> None:
        """Keep a file."""
        if self.is_turned_away:
            await self.finish()
            return
        await self.do(self._keep_file())

    async def _keep_file(self) -> None:
        self.keep(None)
        kind = self.request.headers.get("Content-Type", "")
        name, mime_type, data, seconds = await self.house.run(_read_form, kind, bytes(self.raw))
        self.write_json(self.house.files.add(name, mime_type, data, as_seconds(seconds)))
        await self.finish()

    async def get(self) -> None:
        """List the files, newest first, a page at a time; or those of some ids."""
        if not self.is_turned_away:
            self.keep(None)
            try:
                self.write_json(self._page())
            except Rejected as rejected:
                self.write_rejection(rejected)
        await self.finish()

    def _page(self) -> dict[str, object]:
        ids = [*self.get_query_arguments("ids[]"), *self.get_query_arguments("ids")]
        limit, cursor = self.get_query_argument("limit", ""), self.get_query_argument("page", "")
        if not ids:
            return self.house.files.page(limit or "20", cursor)
        if limit or cursor:
            raise Rejected(400, "ids: cannot be combined with page or limit")
        return self.house.files.those(ids)


class FileDoor(Door):
    """``GET`` and ``DELETE /v1/files/{id}``."""

    async def get(self, file_id: str) -> None:
        """Say what is known of a file."""
        await self._answer(file_id, is_deletion=False)

    async def delete(self, file_id: str) -> None:
        """Delete a file."""
        await self._answer(file_id, is_deletion=True)

    async def _answer(self, file_id: str, *, is_deletion: bool) -> None:
        if not self.is_turned_away:
            self.keep(None)
            files = self.house.files
            try:
                body = files.delete(file_id) if is_deletion else files.get(file_id).row()
                self.write_json(body)
            except Rejected as rejected:
                self.write_rejection(rejected)
        await self.finish()


class FileContentDoor(Door):
    """``GET /v1/files/{id}/content``."""

    async def get(self, file_id: str) -> None:
        """Refuse: what was uploaded is not given out again."""
        if not self.is_turned_away:
            self.keep(None)
            rejected = Rejected(
                400, f"File is not downloadable: {file_id}", error_code="file_not_downloadable"
            )
            try:
                self.house.files.get(file_id)
            except Rejected as missing:
                rejected = missing
            self.write_rejection(rejected)
        await self.finish()


def _read_form(content_type: str, raw: bytes) -> tuple[str, str, bytes, str]:
    """Return name, type and bytes of the form's file, and how long it is to be kept."""
    boundary = ""
    for part in content_type.split(";")[1:]:
        name, _, value = part.strip().partition("=")
        boundary = value if name.lower() == "boundary" else boundary
    if not boundary:
        raise Rejected(400, f"content-type: {_FORM} without a boundary")
    texts: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    try:
        parse_multipart_form_data(boundary.encode("latin-1"), raw, texts, files)
    except (HTTPInputError, ValueError):
        raise Rejected(400, "The request body is not a valid form") from None
    seconds = texts.get("expires_in_seconds", [b""])[-1].decode("ascii", "replace")
    unnamed = [HTTPFile(filename="", content_type="", body=d) for d in texts.get("file", [])]
    found = [*files.get("file", []), *unnamed]
    if len(found) != 1:
        raise Rejected(400, "file: Field required" if not found else "file: one at a time")
    file = found[0]
    kind = file["content_type"] or "application/octet-stream"
    return file["filename"], kind, file["body"], seconds
