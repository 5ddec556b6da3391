"""A web application that answers when the record of a request is stored, without stopping its event loop.

    pip install fastapi uvicorn
    AUDIT_TRAIL=logs/audit_trail.jsonl uvicorn --app-dir examples fastapi_app:app

Several workers (`--workers 4`) may append to one trail, for each process has its own writer and they lock each other
out.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from fastapi import FastAPI, HTTPException, Request

from auditwatch import AuditWriteError, AuditWriter


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One writer for the life of the process; what is on its way when it ends is stored first."""
    async with aclosing(AuditWriter(os.environ["AUDIT_TRAIL"], durability="power")) as audit:
        app.state.audit = audit
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/trades", status_code=201)
async def approve(trade: dict[str, object], request: Request) -> dict[str, str]:
    """Approve a trade: 201 when its record is on disk, 503 when it is not."""
    try:
        await request.app.state.audit.append_async({"event": "TRADE_APPROVED", "details": trade})
    except AuditWriteError as error:
        raise HTTPException(503, f"not recorded ({error.reason}), so not approved") from error
    return {"status": "approved"}
