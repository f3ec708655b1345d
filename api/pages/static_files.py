"""The few files that pages need: one style sheet, two scripts, one icon."""

from fastapi import APIRouter, Response
from starlette.responses import FileResponse

from api.access import allowed
from api.pages.frame import HERE
from api.problems import Problem
from domain.access import Action

router = APIRouter()

FILES = {
    "style.css": "text/css",
    "fresh.js": "text/javascript",
    "draft.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@router.get("/static/{name}", dependencies=[allowed(Action.COME_IN)])
async def static(name: str, v: str = "") -> Response:
    """Give out a file. Its address carries a hash of its content, so browsers may keep it for ever."""
    if name not in FILES:
        raise Problem("not-found", f"There is no file called “{name}”.")
    age = "public, max-age=31536000, immutable" if v else "no-cache"
    return FileResponse(HERE / "static" / name, media_type=FILES[name], headers={"Cache-Control": age})


@router.get("/favicon.ico", dependencies=[allowed(Action.COME_IN)])
async def icon() -> Response:
    """Give out the icon to programs that ask for it under the old name."""
    return await static("icon.svg")
