"""The pages: drawn on the server, and usable without scripts."""

from fastapi import APIRouter, Depends

from api.pages import (
    access,
    account,
    answering,
    chemicals,
    funding,
    gaps,
    history,
    history_evidence,
    home,
    invitations,
    languages,
    letters,
    links,
    live,
    news,
    openid,
    opening,
    parties,
    passwords,
    people,
    programme,
    questionnaires,
    rounds,
    static_files,
)
from api.pages.frame import take_form

router = APIRouter(include_in_schema=False, dependencies=[Depends(take_form)])
for part in (
    home,
    rounds,
    invitations,
    answering,
    gaps,
    parties,
    letters,
    opening,
    chemicals,
    programme,
    funding,
    questionnaires,
    history,
    history_evidence,
    access,
    openid,
    account,
    passwords,  # before the page of a person, which takes all else that is done there
    people,
    links,
    languages,
    live,
    news,
    static_files,
):
    router.include_router(part.router)
