"""The page to try dialing on, and the description to read: files without a secret, open to all."""

from fastapi import APIRouter

from producers.api.intake import Intake
from producers.api.live import LiveRoutes

OPEN_PATHS = ("/", "/docs")


class PageRoutes:
    """
    Serves what is in `producers/api/static`.

    Args:
        intake: What it shares with the others.
    """

    def __init__(self, intake: Intake) -> None:
        self.router = APIRouter(include_in_schema=False)
        self.router.include_router(LiveRoutes(intake).router)
