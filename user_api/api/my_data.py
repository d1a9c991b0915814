"""A person's rights over their own data (152-FZ, GDPR): a copy of all of it, and its erasure."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, status
from fastapi.responses import JSONResponse

from shared.asgi import problem_responses
from user_api.api.account_schemas import ConfirmBody, ErasureView
from user_api.api.deps import AppResources, ClientAddress, CurrentUser
from user_api.api.presence import prove_password
from user_api.user_service.erase_user import erase_user, finish_erasure
from user_api.user_service.export_data import export_data

router = APIRouter(prefix="/v1/me", tags=["me"], responses=problem_responses(401, 403, 429))


@router.post("/data-export", response_model=dict[str, Any])
async def post_data_export(
    body: ConfirmBody, resources: AppResources, user: CurrentUser, address: ClientAddress
) -> JSONResponse:
    """Everything kept about the signed-in user, in one document. Writes nothing, so it needs no key."""
    await prove_password(resources, user.user_id, body.current_password, address)
    document = await export_data(resources.commerce, resources.session_store, user.user_id)
    return JSONResponse(document, headers={"Content-Disposition": 'attachment; filename="my-data.json"'})


@router.delete("", status_code=status.HTTP_202_ACCEPTED, responses=problem_responses(409))
async def delete_me(
    body: ConfirmBody, resources: AppResources, user: CurrentUser, address: ClientAddress
) -> ErasureView:
    """Erases the account for good: nobody is behind it from this answer on; other places follow.

    409 `payment-in-progress` while a payment or refund is on its way. Subscriptions end; documents and
    the ledger keep a bare id.
    """
    confirmed = await prove_password(resources, user.user_id, body.current_password, address)
    act = await erase_user(resources.commerce, user.user_id, confirmed.password_hash)
    shown = ErasureView.model_validate(act, from_attributes=True)
    await finish_erasure(resources.commerce, resources.session_store, user.user_id)
    return shown
