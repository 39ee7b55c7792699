"""What people do without outdial: a FastAPI endpoint that publishes a Celery task. The yardstick of the intake."""

from fastapi import FastAPI
from pydantic import BaseModel

from ops.bench.plain_celery import dial


class Wish(BaseModel):
    """One call."""

    extid: str
    outto: str
    metadata: dict[str, str] = {}


app = FastAPI()


@app.post("/dial", status_code=202)
def post(wish: Wish) -> dict[str, str]:
    """Publish one call."""
    return {"job_id": dial.apply_async((wish.extid, wish.outto)).id}
